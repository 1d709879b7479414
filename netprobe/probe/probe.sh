# Probes targets and answers one line for each; behind it comes stream.sh or bulk.sh, which reads them.
#
#   arguments  TOKEN, which begins each line of the output; WHOLE_S WAIT_S: the time-out in whole seconds
#              (nc -w) and, if the machine has a `timeout` that takes fractions, exactly; then "untimed" if no latencies are needed, which saves
#              two processes a try if the shell has no clock, and "once" if no datagram is ever lost
#   input      "ID TCP|UDP HOST PORT" a line; "=" waits for all that were read; "." ends
#   output     "begin NC CLOCK"; "ID STATUS BEGIN_US END_US TEXT" a line; "end COUNT"
#
# Runs in BusyBox ash with BusyBox nc, and on a lab in dash with OpenBSD nc: nothing but POSIX shell outside the
# branches that are taken for one of them only. Who writes the targets bounds how many are tried at once.
LC_ALL=C
export LC_ALL
set -f
token=$1 whole=$2 exact=$3 timed=yes repeated=yes
shift 3
for word; do
  case $word in
    untimed) timed= ;;
    once) repeated= ;;
  esac
done

netcat=nc shell=sh
case $(nc -h 2>&1 </dev/null) in
  *BusyBox*) nc=busybox ;;
  *OpenBSD*) nc=openbsd ;;
  *) nc=unknown ;;
esac
# An image may have another nc in front of BusyBox'. A lab ("once") takes what the machine has.
case $nc$repeated in
  busybox* | openbsd) ;;
  *)
    case $(busybox nc -h 2>&1 </dev/null) in
      *BusyBox*) nc=busybox netcat='busybox nc' shell='busybox sh' ;;
    esac ;;
esac
fractions='' limit=
case $(timeout --version 2>/dev/null </dev/null) in
  *GNU*) fractions=yes ;;
esac
# Where both would end a try at the same moment, nc does it alone: it says what it knows.
[ -z "$fractions" ] || [ "$exact" = "$whole" ] || limit="timeout $exact"

# The time in microseconds: a variable of ash, GNU date, or what every kernel has, in steps of 10 ms.
if [ -n "${EPOCHREALTIME-}" ]; then
  clock=fine
  now() { now=$EPOCHREALTIME; now=${now%.*}${now#*.}; }
else
  case $timed$(date +%s%N) in
    yes???????????????????)
      clock=fine
      now() { now=$(date +%s%N); now=${now%???}; } ;;
    *)
      clock=coarse
      now() { read -r now rest </proc/uptime; now=${now%.*}${now#*.}0000; } ;;
  esac
fi

tcp() {
  out=$($limit $netcat -zvv -w "$whole" "$1" "$2" 2>&1 </dev/null)
  status=$?
}

# BusyBox: nc hands the connected socket to a shell, which asks again every 250 ms until it is answered.
# (descriptor 3 is nc's own.) An answer that does not come takes all of the 250 ms, a refusal none.
# What is sent is the shortest question that a DNS server answers, by itself and at once if only to refuse it (CH
# TXT of the root, no recursion); its number begins with the x that listeners of a run give back.
ask='
read -r t rest </proc/uptime
t=${t%.*}${t#*.} end=$((t + $1 * 100)) refused=
while [ "$t" -lt "$end" ]; do
  begin=$t
  printf "xx\000\000\000\001\000\000\000\000\000\000\000\000\020\000\003" 2>/dev/null
  if read -r -t 0.25 -n 1 reply && [ -n "$reply" ]; then echo answered >&4; exit; fi
  read -r t rest </proc/uptime
  t=${t%.*}${t#*.}
  if [ $((t - begin)) -lt 20 ]; then refused=1; sleep 0.05; fi
done
if [ -n "$refused" ]; then echo refused >&4; else echo silent >&4; fi'

# OpenBSD: nc ends with the first answer (-W 1), with status 0 and no text when refused. Each try waits longer
# than the one before, one second in all for the first three; two of them do if the timeout is shorter.
udp_openbsd() {
  [ -n "$fractions" ] || { out=unsupported status=1; return; }
  refused='' more=$whole
  set -- "$1" "$2" 0.2 0.3 0.5
  [ -z "$limit" ] || [ "$whole" -gt 1 ] || set -- "$1" "$2" 0.2 0.3
  [ -n "$repeated" ] || { set -- "$1" "$2" "$exact"; more=1; }
  while [ $# -gt 2 ]; do
    out=$(timeout "$3" nc -u -W 1 -w $((whole + 1)) "$1" "$2" 2>&1 <<X
x
X
)
    status=$?
    if [ "$out" = x ]; then out=answered status=0; return; fi
    case $status in
      0) refused=1; sleep 0.05 ;;
      124 | 143) ;;
      *) out=$(nc -zvu -w 1 "$1" "$2" 2>&1 </dev/null); return ;;
    esac
    host=$1 port=$2
    shift 3
    [ $# -gt 0 ] || [ "$more" = 1 ] || { more=$((more - 1)); set -- 1; }
    set -- "$host" "$port" "$@"
  done
  status=1 out=silent
  [ -z "$refused" ] || out=refused
}

udp() {
  case $nc in
    busybox)
      out=$($netcat -u -vv -w "$whole" "$1" "$2" -e $shell -c "$ask" ask "$whole" 4>&1 2>&1 </dev/null)
      status=$? ;;
    openbsd) udp_openbsd "$1" "$2" ;;
    *) out=unsupported status=1 ;;
  esac
}

probe() {
  now
  begin=$now
  case $2 in
    TCP) tcp "$3" "$4" ;;
    UDP) udp "$3" "$4" ;;
    *) out=unsupported status=1 ;;
  esac
  now
  set -- "$token" "$1" $status "$begin" "$now" $out
  printf '%s\n' "$*"
}
