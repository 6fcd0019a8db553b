# What the fuel gauge of a phone's battery shows, and whether its screen is on; read by bench/devices/gauge.py. The
# files are often closed to the shell user: what cannot be read is left out.
section() { printf '\n@@ %s\n' "$1"; }
section battery; dumpsys battery 2>/dev/null
section supply
for supply in /sys/class/power_supply/*; do
  for fact in charge_counter charge_now current_now voltage_now; do
    value=$(cat "$supply/$fact" 2>/dev/null) && printf '%s|%s|%s\n' "${supply##*/}" "$fact" "$value"
  done
done
section power; dumpsys power 2>/dev/null | grep -m1 mWakefulness=
