# shellcheck shell=bash
# Sourced by what compiles the plugin's sources outside of `uwsgi --build-plugin`: with the same flags, those of uWSGI and the plugin's own.

plugin=$PWD/roles/uwsgi/files/plugins/consul
plugin_sources=("$plugin"/*.c "$plugin"/*/*.c)
plugin_cflags=()
plugin_libs=()

# Its own sources say in which folder a header lies; those that test it need not.
# shellcheck disable=SC2034 # for those who source this
plugin_includes=("-I$plugin")
for _folder in "$plugin"/*/; do
    plugin_includes+=("-I$_folder")
done

# uWSGI's own answer is quoted for a shell.
_of_uwsgi=$(uwsgi --cflags 2>/dev/null)
eval "plugin_cflags=($_of_uwsgi)"
_of_plugin() { python3 -c 'import runpy, sys; print("\n".join(runpy.run_path(sys.argv[1])[sys.argv[2]]))' "$plugin/uwsgiplugin.py" "$1"; }
mapfile -t -O "${#plugin_cflags[@]}" plugin_cflags < <(_of_plugin CFLAGS)
# shellcheck disable=SC2034 # for those who source this
mapfile -t plugin_libs < <(_of_plugin LIBS)

# More than a user's build asks for: what a plugin for the world must be clean with.
# shellcheck disable=SC2034
strict=(-Wall -Wextra -Werror -Wshadow -Wunused-parameter -Wmissing-field-initializers)

# core_header DIRECTORY: the header that `uwsgi --build-plugin` would give the sources.
core_header() { uwsgi --dot-h >"$1/uwsgi.h" 2>/dev/null; }

# compile_archive COMPILER DIRECTORY FLAG...: DIRECTORY/plugin.a of all sources, and of what stands in for uWSGI's core outside of it.
compile_archive() {
    local compiler=$1 directory=$2
    shift 2
    core_header "$directory"
    printf '%s\0' "${plugin_sources[@]}" "$PWD/tests/standins/core.c" | (cd "$directory" && xargs -0 -P 2 -n 4 "$compiler" "${plugin_cflags[@]}" "$@" -I. -c)
    ar rcs "$directory/plugin.a" "$directory"/*.o
    rm "$directory"/*.o
}
