"""The codec's front door: everything that turns bytes into values and values into bytes. No IO.

`rest_codec` holds bodies and answers of REST, `ws_codec` commands and frames of the websocket, `refusals` error bodies,
`sequence` the counting of frames. Import from here.
"""

from kalshi_daemon.kalshi.refusals import Refusal, item_error, parse_refusal, rejection
from kalshi_daemon.kalshi.rest_codec import (
    amend_body,
    balance,
    cancel_ack,
    cancel_batch_body,
    create_ack,
    create_batch_body,
    create_body,
    echo_of_order,
    exchange_status,
    fill,
    order_group_body,
    pair_items,
    position,
    remote_order,
    settlement,
)
from kalshi_daemon.kalshi.sequence import Order, SequenceTracker
from kalshi_daemon.kalshi.ws_codec import (
    Frame,
    Ignored,
    Ok,
    StreamError,
    Subscribed,
    Unsubscribed,
    decode_frame,
    subscribe_books_command,
    subscribe_command,
    unsubscribe_command,
    update_command,
)

__all__ = [
    "Frame",
    "Ignored",
    "Ok",
    "Order",
    "Refusal",
    "SequenceTracker",
    "StreamError",
    "Subscribed",
    "Unsubscribed",
    "amend_body",
    "balance",
    "cancel_ack",
    "cancel_batch_body",
    "create_ack",
    "create_batch_body",
    "create_body",
    "decode_frame",
    "echo_of_order",
    "exchange_status",
    "fill",
    "item_error",
    "order_group_body",
    "pair_items",
    "parse_refusal",
    "position",
    "rejection",
    "remote_order",
    "settlement",
    "subscribe_books_command",
    "subscribe_command",
    "unsubscribe_command",
    "update_command",
]
