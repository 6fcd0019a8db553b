# What a phone says of itself, one section per source; read by bench/devices/facts.py. Needs no root; every
# source may be missing, empty or refused.
section() { printf '\n@@ %s\n' "$1"; }
# Other load, before this script makes some itself. Old shells cannot sleep for parts of a second: then it is not known.
section stat; head -n 1 /proc/stat 2>/dev/null; sleep 0.3 2>/dev/null; head -n 1 /proc/stat 2>/dev/null
section getprop; getprop 2>/dev/null
section uname; uname -sr 2>/dev/null
section machine; uname -m 2>/dev/null
section board; cat /proc/device-tree/model /proc/device-tree/compatible /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name 2>/dev/null
section hypervisor; cat /sys/hypervisor/type 2>/dev/null
section meminfo; cat /proc/meminfo 2>/dev/null
section cpuinfo; cat /proc/cpuinfo 2>/dev/null
section cpus
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
  printf 'cpu %s' "${cpu##*/cpu}"
  for fact in online cpufreq/cpuinfo_max_freq cpufreq/cpuinfo_min_freq cpufreq/related_cpus; do
    value=$(cat "$cpu/$fact" 2>/dev/null)
    printf '|%s' "$value"
  done
  printf '\n'
done
section online; cat /sys/devices/system/cpu/online 2>/dev/null
section battery; dumpsys battery 2>/dev/null
section thermal; dumpsys thermalservice 2>/dev/null
section power; dumpsys power 2>/dev/null | grep -m1 mWakefulness=
section saver; settings get global low_power 2>/dev/null
section space; df -k /data/local/tmp 2>/dev/null || df /data/local/tmp 2>/dev/null
