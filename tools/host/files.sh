# shellcheck shell=bash
# Files are written whole or not at all, only when they differ, and can be put back.

PREVIOUS=$OPT/previous
# There from the first change until the broker runs with all of them: a run that was cut off does not lose its restart.
RESTART_DUE=$OPT/restart-due
WRITTEN=()

# Runs the command, or shows it in a dry run.
act() {
  if [[ $DRY_RUN == yes ]]; then
    say "would run: $*"
  else
    "$@"
  fi
}

# put_file MODE PATH [restart] < CONTENT. With "restart" the service is restarted when the file changed.
put_file() {
  local mode=$1 path=$2 why=${3:-} new
  new=$(mktemp)
  cat >"$new"
  if [[ -f $path ]] && cmp -s "$new" "$path" && [[ $(stat -c %a "$path") == "$mode" ]]; then
    rm "$new"
    return
  fi
  if [[ $DRY_RUN == yes ]]; then
    show_diff "$path" "$new"
    rm "$new"
    return
  fi
  if [[ $why == restart ]]; then
    keep "$path"
    : >"$RESTART_DUE"
  fi
  install -d "$(dirname "$path")"
  install -m "$mode" "$new" "$path.new"
  mv -f "$path.new" "$path"
  rm "$new"
  WRITTEN+=("$path")
  say "wrote $path"
}

is_written() {
  local path
  for path in "${WRITTEN[@]}"; do [[ $path != "$1" ]] || return 0; done
  return 1
}

# For files that hold the operator's own settings: written once, never again.
put_file_once() {
  if [[ -e $2 ]]; then
    cat >/dev/null
  else
    put_file "$@"
  fi
}

put_link() {
  local target=$1 path=$2
  [[ $(readlink "$path" 2>/dev/null) != "$target" ]] || return 0
  if [[ -e $path && ! -L $path ]]; then die "$path is there and is not a link of this script: move it away first"; fi
  act ln -sfn "$target" "$path"
}

# remove_file PATH [restart]
remove_file() {
  [[ -e $1 || -L $1 ]] || return 0
  if [[ ${2:-} == restart && $DRY_RUN == no ]]; then
    keep "$1"
    : >"$RESTART_DUE"
  fi
  act rm -f "$1"
}

show_diff() {
  local path=$1 new=$2 old=/dev/null
  [[ ! -r $path ]] || old=$path
  diff -u --label "$path" --label "$path (new)" "$old" "$new" || true
}

# What was there before this run, for going back. Only the first version of a run counts.
keep() {
  local kept=$PREVIOUS/files$1
  [[ ! -e $kept && ! -e $kept.absent ]] || return 0
  install -d -m 0700 "$PREVIOUS" "$(dirname "$kept")"
  if [[ -e $1 ]]; then cp -a "$1" "$kept"; else : >"$kept.absent"; fi
}

forget_kept() {
  [[ $DRY_RUN == yes ]] || rm -rf "$PREVIOUS"
}

put_back() {
  [[ -d $PREVIOUS/files ]] || return 0
  local kept path
  while IFS= read -r kept; do
    path=${kept#"$PREVIOUS/files"}
    if [[ $kept == *.absent ]]; then rm -f "${path%.absent}"; else cp -a "$kept" "$path"; fi
  done < <(find "$PREVIOUS/files" ! -type d)
}
