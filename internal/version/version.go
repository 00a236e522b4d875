// Package version says which version of this module runs.
package version

import "runtime/debug"

// module is this module's path, as go.mod has it.
const module = "qpt"

// String is the version or commit of this module, in its own commands and in programs that import it; "(devel)" when
// the build does not tell.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	return of(info)
}

func of(info *debug.BuildInfo) string {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == module && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}
