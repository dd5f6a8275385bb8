"""The daemon's side of the simulator: start or join one, follow its time, put earlier runs aside."""
