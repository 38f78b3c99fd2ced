"""ADALM-Plutos, real or emulated, through libiio and pyadi-iio. Importing this package needs neither."""
