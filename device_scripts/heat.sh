# How warm and how charged a phone is: asked before and after every timed launch, so as little work as can be.
section() { printf '\n@@ %s\n' "$1"; }
section battery; dumpsys battery 2>/dev/null
section thermal; dumpsys thermalservice 2>/dev/null
