package version

import (
	"runtime/debug"
	"testing"
)

func TestOf(t *testing.T) {
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3":  {Main: debug.Module{Path: "qpt", Version: "v1.2.3"}},
		"v1.2.4":  {Main: debug.Module{Path: "example.org/app", Version: "v9"}, Deps: []*debug.Module{{Path: "x", Version: "v8"}, {Path: "qpt", Version: "v1.2.4"}}},
		"(devel)": {Main: debug.Module{Path: "qpt"}},
	} {
		if got := of(info); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
