"""Names that vulture finds unused in kalshi_daemon and that stay, each with its reason. Read by `make lint` only."""

# Called by a library, by name.
_._mean_one  # pydantic validator
_._of_its_own_kind  # pydantic validator
_.model_config  # pydantic
_.format  # field of the constants file: a literal that pydantic compares
_._load_env_vars  # pydantic-settings
_.decode_complex_value  # pydantic-settings
_.critical  # structlog's level
_.connection_made  # asyncio's protocol
_.connection_lost  # asyncio's protocol
_.describe  # prometheus-client's collector
_.writable  # asked by print and csv of a file
_.process_redirect  # websockets: a redirect is refused
_._retry_connection  # aiohttp: a request is never sent twice
_.content_type  # aiohttp's answer
_.content_length  # aiohttp's answer
DataclassInstance  # in an annotation, as text

# Words of the exchange: the list is complete, not only what we use of it.
_.DROP
_.MAKER
_.MARGIN_CANCEL
_.QUADRATIC_WITH_COMBO_MAKER_FEES

# What the exchange and the vendor tell, decoded in full: conformance tests compare it with captures.
_.expiration_value
_.own_client_order_id
_.realized_pnl
_.last_bar
_.last_frame_ns
_.measured_ns
_.asof_ns  # a forecast says what it knew

# The seam for policies: what one may look at, whether or not today's does.
_.microprice
_.mid_at_fill

# Counts of what was done, by which tests see that it was done once.
_.manifests_written
_.saves
_.computed
_.in_doubt

# Read outside the package.
PULLS  # scripts/log_catalogue.py
NAMES  # compared with the help text of `score`
ManualClock  # the other clock: tests, simulation and benchmarks

# The simulated sides: levers and counters that tests and storms use in the same process.
_.affected
_.cash_dollars
_.change_event_fees
_.change_grid
_.close_all
_.drop_topics
_.duplicate
_.events_sent
_.followers
_.hits
_.mute
_.refuse_auth
_.refuse_topics
_.revoke
_.send_status
_.sessions_total
_.swap
_.synthesised

# Fields of documents on disk, for people and scripts (docs/operations.md).
_.seconds_to_fixing
_.rested_s
_.refusing
_.judged_at
_.session_id
_.fees_dollars
_.pnl_dollars
_.exchange_pnl_dollars
_.books_detail
_.resting_at_end
_.daemon_version

# The shipped indices by name, for tests and benchmarks; the product asks the table.
_.NDX
_.SPX

# What asyncio asks of a loop (`backtest.virtual_time`), and dict of a dict.
_._clock_resolution
_._selector
_._process_events
_._write_to_self
_.unregister
_.get_map
_.popitem

# Keys of a regime, which `simulator.traders.regimes` takes by name.
RegimeSettings.refresh_s_min
RegimeSettings.refresh_s_max
RegimeSettings.half_spread_cents_min
RegimeSettings.half_spread_cents_max
RegimeSettings.maker_contracts_min
RegimeSettings.maker_contracts_max
RegimeSettings.notice_s_max
RegimeSettings.pull_s_max
RegimeSettings.noise_error_cents
RegimeSettings.noise_contracts_median
RegimeSettings.yes_bias_cents
RegimeSettings.longshot_bias_cents
RegimeSettings.informed_delay_s_min
RegimeSettings.informed_delay_s_max
RegimeSettings.informed_contracts_max

# What a test does to a run that a machine would do: a kill.
_.abandon
_._log_destroy_pending  # asyncio: a task that is given up on purpose
