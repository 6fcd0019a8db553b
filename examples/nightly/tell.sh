#!/bin/sh
# bench nightly --on-end: tells a chat by its web hook, unless the night was good. The last argument is nightly.json.
set -eu
[ "$BENCH_STATUS" != good ] || exit 0
: "${CHAT_URL:?set it to the address of the web hook}"
curl --fail --silent --show-error --max-time 30 --header "Content-Type: application/json" \
  --data "@$1" "$CHAT_URL"
