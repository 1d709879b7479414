#!/usr/bin/env bash
# The script of action.yml: lint, simulate and impact, as annotations and one summary.
# Reads MANIFESTS (one a line), SUITE, COMMENT, PULL_REQUEST and GitHub's own variables.
# Exit status: the worst of lint and simulate (1 mistakes or differences, 2 unreadable, 3 could not tell).
set -uo pipefail

summary="$RUNNER_TEMP/netprobe-summary.md"
marker="<!-- netprobe -->" # finds the comment of an earlier push
echo "$marker" >"$summary"
page=${GITHUB_STEP_SUMMARY:-/dev/null}
unset GITHUB_STEP_SUMMARY # else netprobe would write there too
echo "summary=$summary" >>"$GITHUB_OUTPUT"

status=0
worst() { [ "$1" -gt "$status" ] && status=$1; }

mapfile -t manifests < <(sed '/^[[:space:]]*$/d' <<<"$MANIFESTS")
files=() before=()
base="$RUNNER_TEMP/netprobe-base"
for path in "${manifests[@]}"; do
	files+=(-f "$path")
	before+=(--against "$base/$path")
done

netprobe lint "${files[@]}" -o github
worst $?

if [ -n "$SUITE" ]; then
	netprobe simulate "$SUITE" -o github --report markdown="$summary.suite"
	worst $?
	cat "$summary.suite" >>"$summary"
fi

if [ -n "${GITHUB_BASE_REF:-}" ]; then
	if git worktree add --quiet --detach "$base" "origin/$GITHUB_BASE_REF"; then
		netprobe impact "${files[@]}" "${before[@]}" --prune --report markdown="$summary.impact" >/dev/null
		[ -s "$summary.impact" ] && cat "$summary.impact" >>"$summary"
		git worktree remove --force "$base"
	else
		echo "::warning::impact is missing: check out with fetch-depth 0, so that $GITHUB_BASE_REF is there"
	fi
fi

cat "$summary" >>"$page"

if [ "$COMMENT" = true ] && [ -n "$PULL_REQUEST" ]; then
	body="$summary.comment" # GitHub takes 65,536 characters: if there are more, without the lists that are folded
	cp "$summary" "$body"
	if [ "$(wc -c <"$body")" -gt 65000 ]; then
		sed '/^<details>/,/^<\/details>/d' "$summary" | head -c 65000 >"$body"
	fi
	comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
	earlier=$(gh api --paginate "$comments" --jq ".[] | select(.body | startswith(\"$marker\")) | .id" | tail -n 1)
	if [ -n "$earlier" ]; then
		gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$earlier" --field body=@"$body"
	else
		gh api --silent "$comments" --field body=@"$body"
	fi || echo "::warning::the comment could not be written: does the job have the permission pull-requests: write?"
fi

exit "$status"
