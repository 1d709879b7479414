# Tries one TCP port every PAUSE_S seconds, TRIES times, and says so: "try N" before each, and "open N" for
# each that connected. A try waits up to one second, so tries overlap: the time of a turn is known to one pause.
#
#   arguments  HOST PORT TRIES PAUSE_S
#   output     "try N", "open N", closed by "netprobe-end" unless the reader goes away first
n=0
while [ $n -lt "$3" ]; do
  echo "try $n" || exit
  ( nc -z -w 1 "$1" "$2" </dev/null >/dev/null 2>&1 && echo "open $n" ) &
  sleep "$4"
  n=$((n + 1))
done
wait
echo netprobe-end
