"""Fair values, fees, exact worst cases and the quotes of a profile. Pure: no loop, no clock, no chance, no log."""
