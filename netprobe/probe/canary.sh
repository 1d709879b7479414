# Tries two TCP ports every PAUSE_S seconds, TRIES times: CONTROL, which no policy forbids, and PORT.
# A try waits up to one second, so tries overlap: the time of a turn is known to one pause.
#
#   arguments  HOST CONTROL PORT TRIES PAUSE_S
#   output     "try N" before each, then "control N" and "open N" for what connected; ends with the first
#              "open", and when the reader goes away
netcat=nc
case $(nc -h 2>&1 </dev/null) in
  *BusyBox* | *OpenBSD*) ;;
  *) netcat='busybox nc' ;;
esac
dial() {
  $netcat -z -w 1 "$1" "$2" </dev/null >/dev/null 2>&1 && echo "$3"
}
n=0
while [ $n -lt "$4" ]; do
  echo "try $n" || exit
  dial "$1" "$2" "control $n" &
  (dial "$1" "$3" "open $n" && kill $$) &
  sleep "$5"
  n=$((n + 1))
done
wait
