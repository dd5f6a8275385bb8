"""Operations: logging, the kill switch, systemd notification, the instance lock."""
