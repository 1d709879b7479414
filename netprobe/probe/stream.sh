# Behind probe.sh: each target at once in the background, and its answer as it comes.
echo "$token begin $nc $clock"
count=0
while read -r id protocol host port; do
  case $id in
    .) break ;;
    =) wait ;;
    *)
      probe "$id" "$protocol" "$host" "$port" &
      count=$((count + 1)) ;;
  esac
done
wait
echo "$token end $count"
