# Behind probe.sh: each TCP target at once in the background, and "=" answers all that were read.
#
# So a try is one process, nc itself: a shell that catches its text and status would be another one. The text
# goes to a file of the pod's own. The time is not measured: 0. With -vv every nc says why it failed: a file
# that stays empty is a failure of the probe, not a refusal.
folder=/tmp/netprobe.$$
mkdir "$folder"
started='' slot=0

start() {
  slot=$((slot + 1))
  $limit $netcat -zvv -w "$whole" "$2" "$3" >"$folder/$slot" 2>&1 </dev/null &
  started="$started $! $1 $folder/$slot"
}

collect() {
  answers=
  while [ $# -gt 0 ]; do
    wait "$1"
    status=$? out=
    if [ $status != 0 ]; then
      while read -r line; do out="$out $line"; done <"$3"
      out=${out:- said nothing}
    fi
    answers="$answers$token $2 $status 0 0$out
"
    shift 3
  done
  printf %s "$answers"
  started='' slot=0
  wait
}

echo "$token begin $nc $clock"
count=0
while read -r id protocol host port; do
  case $id in
    .) break ;;
    =) collect $started ;;
    *)
      count=$((count + 1))
      case $protocol in
        TCP) start "$id" "$host" "$port" ;;
        *) probe "$id" "$protocol" "$host" "$port" & ;;
      esac ;;
  esac
done
collect $started
rm -r "$folder"
echo "$token end $count"
