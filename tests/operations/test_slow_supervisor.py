import socket
import threading

from kalshi_daemon.operations.notify import Notifier


def test_a_supervisor_that_does_not_read_never_holds_the_loop_up(tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(address)
        notifier = Notifier({"NOTIFY_SOCKET": address}, 1)

        def talk() -> None:
            for _ in range(2_000):  # far more than any queue of datagrams holds
                notifier.alive()

        talking = threading.Thread(target=talk, daemon=True)
        talking.start()
        talking.join(10)
        assert not talking.is_alive()
        assert deaf.recv(64) == b"WATCHDOG=1"
