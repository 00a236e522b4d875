package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The map of the house: what each package of the module may import, from the
// module (without "qpt/") and from elsewhere. A name ending in /... stands for
// the package and all below it. Nothing may be missing here, and nothing
// imports cmd.
//
//	cmd/qconv            cmd/qrun
//	   |                    |
//	convert                 |
//	   |                    |
//	calibrate               |
//	   |                    |
//	   +----- runtime ------+
//	       /           \
//	   format        kernels      these two never meet
//	       \           /
//	   internal/{num,cpu,par,outfile,jinja,strictjson}
var packages = map[string]struct{ inside, outside []string }{
	"cmd/qconv": {
		[]string{"convert/...", "calibrate", "runtime/...", "format/...", "kernels", "internal/num", "internal/cpu", "internal/par", "internal/cli", "internal/outfile", "internal/ui"},
		[]string{"github.com/spf13/cobra", "github.com/spf13/pflag"},
	},
	"cmd/qrun": { // the two packages of convert are for --ref DIR
		[]string{"convert/hf", "convert/safetensors", "runtime/...", "format/...", "kernels", "internal/num", "internal/cpu", "internal/par", "internal/cli", "internal/outfile", "internal/report", "internal/ui"},
		[]string{"github.com/spf13/cobra", "github.com/spf13/pflag"},
	},
	"convert": {
		[]string{"convert/...", "calibrate", "runtime/...", "format/...", "kernels", "internal/num", "internal/outfile", "internal/par", "internal/strictjson"},
		[]string{"go.yaml.in/yaml/v4"}, // recipes; what a .qpt file keeps is JSON
	},
	"convert/hf":          {[]string{"convert/safetensors", "format/graph", "internal/num", "internal/strictjson"}, nil},
	"convert/safetensors": {[]string{"internal/num", "internal/outfile", "internal/par", "internal/strictjson"}, []string{"golang.org/x/sys/unix"}},
	"calibrate":           {[]string{"runtime/...", "format/...", "kernels", "internal/num", "internal/par"}, nil},

	"runtime": {
		[]string{"runtime/...", "format/...", "kernels", "internal/num", "internal/cpu", "internal/par", "internal/strictjson"},
		nil,
	},
	"runtime/lm": {
		[]string{"runtime/...", "format/...", "kernels"},
		nil,
	},
	"runtime/lm/lmtest": {[]string{"convert", "convert/safetensors", "internal/cpu", "runtime", "runtime/lm", "runtime/lm/tokenizer"}, nil}, // for tests
	"runtime/compare": {
		[]string{"runtime/...", "format/...", "kernels", "internal/par"},
		nil,
	},
	"runtime/ref":          {[]string{"format/graph", "internal/num", "internal/par"}, nil}, // no kernels: the yardstick
	"runtime/exec":         {[]string{"format/graph", "kernels", "internal/num", "internal/cpu", "internal/par"}, nil},
	"format/rewrite":       {[]string{"format/graph", "internal/num", "runtime/ref"}, nil},
	"runtime/lm/chat":      {[]string{"internal/jinja", "internal/strictjson"}, nil},
	"runtime/lm/tokenizer": {[]string{"internal/strictjson"}, []string{"github.com/dlclark/regexp2", "golang.org/x/text/..."}},
	"runtime/lm/sample":    {},
	"runtime/diff":         {},

	"format":       {[]string{"format/graph", "internal/num", "internal/outfile", "internal/strictjson"}, []string{"github.com/klauspost/compress/zstd", "golang.org/x/sys/unix"}},
	"format/graph": {[]string{"internal/num", "internal/strictjson"}, nil},
	"kernels":      {[]string{"internal/num", "internal/cpu", "internal/par"}, nil},

	"internal/num":        {},
	"internal/outfile":    {nil, []string{"golang.org/x/sys/unix"}},
	"internal/cpu":        {nil, []string{"github.com/klauspost/cpuid/v2", "golang.org/x/sys/unix"}},
	"internal/par":        {},
	"internal/report":     {[]string{"internal/ui"}, nil},
	"internal/jinja":      {},
	"internal/strictjson": {},
	"internal/ui":         {[]string{"internal/cpu"}, []string{"github.com/schollz/progressbar/v3", "golang.org/x/term"}},
	"internal/cli":        {[]string{"internal/outfile", "internal/ui"}, []string{"github.com/spf13/cobra", "github.com/spf13/pflag"}},
	"internal/check":      {},

	// Tools and test checkpoints; nothing but tests imports them.
	"bench/accuracy":      {[]string{"calibrate", "convert", "kernels", "runtime/...", "bench/gguf", "bench/synth", "internal/ui"}, []string{"github.com/spf13/pflag"}},
	"bench/outliers":      {[]string{"convert/hf", "format/graph", "bench/synth", "internal/ui"}, []string{"github.com/spf13/pflag"}},
	"bench/synth":         {[]string{"convert/safetensors", "internal/num", "internal/par"}, nil},
	"bench/gguf":          {[]string{"convert/safetensors", "internal/num", "internal/par"}, nil},
	"bench/gguf/mkgguf":   {[]string{"bench/gguf"}, nil},
	"bench/cmdtest":       {[]string{"convert/safetensors", "internal/cpu", "bench/synth"}, []string{"github.com/rogpeppe/go-internal/testscript"}},
	"bench/synth/mkmodel": {[]string{"convert/safetensors", "bench/synth"}, nil},
}

// forTests may be imported by test files besides what the module imports
// anywhere. Test files may also import any package of the module: the compiler
// forbids cycles, and suites that compare neighbours are wanted.
var forTests = []string{
	"github.com/google/go-cmp/...", "github.com/rogpeppe/go-internal/...", "pgregory.net/rapid", "gonum.org/v1/gonum/...",
}

// allowed tells whether a pattern of the list covers name.
func allowed(list []string, name string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		if base, ok := strings.CutSuffix(pattern, "/..."); ok {
			return name == base || strings.HasPrefix(name, base+"/")
		}
		return name == pattern
	})
}

// violation says what is wrong with an import of file, or "".
func violation(file, imported string) string {
	pkg := path.Dir(file)
	rules := packages[pkg]
	first, _, _ := strings.Cut(imported, "/")
	inside, own := strings.CutPrefix(imported, "qpt/")
	test := strings.HasSuffix(file, "_test.go")
	switch {
	case own && strings.HasPrefix(inside, "cmd/"):
		return "nothing may import a command"
	case own && (test || allowed(rules.inside, inside)):
		return ""
	case own:
		return fmt.Sprintf("package %s may import only %q of this module", pkg, rules.inside)
	case imported == "C":
		return "no cgo"
	case !strings.Contains(first, "."): // the standard library
		return ""
	case allowed(rules.outside, imported), test && allowed(forTests, imported):
		return ""
	case test:
		for _, r := range packages {
			if allowed(r.outside, imported) {
				return ""
			}
		}
	}
	return fmt.Sprintf("package %s may import only %q from other modules", pkg, rules.outside)
}

// Every file counts, whatever its build tags.
func TestImports(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	missing := map[string]bool{}
	err = goFiles(root, func(file string) error {
		if strings.Contains("/"+file, "/_") { // a generator is a module of its own
			return nil
		}
		files++
		if _, ok := packages[path.Dir(file)]; !ok {
			missing[path.Dir(file)] = true
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if v := violation(file, imported); v != "" {
				t.Errorf("%s imports %s: %s", file, imported, v)
			}
		}
		return nil
	})
	for pkg := range missing {
		t.Errorf("package %s is not in the map above: add it with what it may import", pkg)
	}
	if err != nil || files < len(packages) {
		t.Fatalf("looked at %d files: %v", files, err)
	}
}

// The rules themselves, on imports that must not pass.
func TestViolations(t *testing.T) {
	for _, c := range []struct {
		file, imported string
		want           string // "" is allowed
	}{
		{"format/writer.go", "qpt/kernels", "format may import only"},
		{"kernels/a_amd64.go", "qpt/format/graph", "kernels may import only"},
		{"runtime/ref/ref.go", "qpt/runtime/exec", "runtime/ref may import only"},
		{"cmd/qrun/main.go", "qpt/convert", "cmd/qrun may import only"},
		{"convert/convert.go", "qpt/internal/ui", "convert may import only"},
		{"convert/convert.go", "qpt/cmd/qconv", "nothing may import a command"},
		{"format/writer.go", "github.com/spf13/cobra", "from other modules"},
		{"format/writer.go", "github.com/google/go-cmp/cmp", "from other modules"},
		{"format/writer_test.go", "example.org/x", "from other modules"},
		{"kernels/a.go", "C", "no cgo"},
		{"newcomer/a.go", "qpt/format", "newcomer may import only"},
		{"convert/a.go", "qpt/bench/synth", "convert may import only"},
		{"format/writer_test.go", "github.com/google/go-cmp/cmp", ""},
		{"runtime/ref/ref_test.go", "qpt/runtime/exec", ""},
		{"cmd/qrun/main.go", "qpt/convert/hf", ""},
		{"runtime/a.go", "qpt/runtime/exec", ""},
		{"runtime/a.go", "os", ""},
	} {
		got := violation(c.file, c.imported)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s imports %s: %q, want %q", c.file, c.imported, got, c.want)
		}
	}
}
