package main

import (
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The picture of the house: a package imports what is drawn below it.
//
//	cmd/qconv            cmd/qrun
//	   |                    |
//	convert                 |
//	   |                    |
//	calibrate               |
//	   |                    |
//	   +----- runtime ------+      runtime/{lm,compare} on runtime on runtime/{exec,ref}
//	       /           \
//	   format        kernels       these two never meet
//	       \           /
//	   internal/{num,cpu,par,outfile,jinja,strictjson}
//
// The exact map, one package a line: what its files import, whatever their
// build tags, test files apart, from this module (without "qpt/") and then from
// others. TestImports fails for what is imported and not here as for what is
// here and not imported, and says what the line has to be. Think before you
// paste it: is the new edge one of the picture's?
const imports = `
bench/accuracy: bench/gguf bench/synth calibrate convert internal/ui kernels/linear runtime runtime/diff runtime/lm github.com/spf13/pflag
bench/active: internal/ui runtime
bench/cmdtest: bench/synth convert/safetensors internal/cpu github.com/nlpodyssey/safetensors github.com/rogpeppe/go-internal/testscript
bench/encoders: internal/ui runtime runtime/encoder github.com/spf13/pflag
bench/families: convert convert/safetensors format/graph internal/num internal/ui kernels/linear runtime runtime/exec runtime/lm runtime/ref github.com/spf13/pflag
bench/gguf: convert/safetensors internal/num internal/par
bench/gguf/mkgguf: bench/gguf
bench/outliers: bench/synth convert/hf format/graph internal/ui github.com/spf13/pflag
bench/soak:
bench/streams: bench/synth convert format/graph internal/cli internal/ui runtime runtime/exec runtime/lm github.com/spf13/pflag
bench/synth: convert/safetensors internal/num internal/par
bench/synth/mkmodel: bench/synth convert/safetensors
bench/vision: convert convert/safetensors format internal/ui runtime runtime/exec github.com/spf13/pflag
calibrate: format/graph internal/num internal/par kernels/elem kernels/linear kernels/quant runtime/lm/corpus runtime/lm/sample runtime/ref
cmd/qconv: calibrate convert convert/hf convert/safetensors format format/graph internal/cli internal/outfile internal/ui runtime runtime/lm github.com/spf13/cobra
cmd/qrun: convert/checkpoint convert/safetensors convert/stored format format/graph internal/cli internal/cpu internal/num internal/outfile internal/report internal/ui kernels/attn kernels/linear kernels/probe runtime runtime/compare runtime/diff runtime/encoder runtime/lm runtime/lm/chat runtime/lm/constrain runtime/lm/corpus runtime/lm/sample runtime/lm/tokenizer runtime/picture runtime/serve github.com/nlpodyssey/safetensors github.com/spf13/cobra github.com/spf13/pflag golang.org/x/term
convert: calibrate convert/checkpoint convert/export convert/hf convert/safetensors convert/stored format format/graph format/rewrite internal/num internal/outfile internal/par internal/strictjson internal/version kernels/elem kernels/linear kernels/quant runtime runtime/diff runtime/encoder runtime/lm runtime/lm/corpus runtime/lm/tokenizer runtime/picture runtime/ref github.com/nlpodyssey/safetensors go.yaml.in/yaml/v4
convert/checkpoint: convert/export convert/gguf convert/hf convert/quantized convert/safetensors convert/stored runtime/lm/tokenizer
convert/export: convert/stored format/graph internal/num internal/strictjson runtime/ref
convert/gguf: convert/stored internal/num runtime/lm/tokenizer
convert/hf: format/graph internal/num internal/strictjson
convert/quantized: convert/safetensors convert/stored internal/num internal/strictjson github.com/dlclark/regexp2
convert/safetensors: internal/num internal/outfile github.com/nlpodyssey/safetensors golang.org/x/sys/unix
convert/safetensors/sttest: convert/safetensors
convert/stored: convert/safetensors
format: format/graph internal/num internal/outfile internal/strictjson github.com/klauspost/compress/zstd golang.org/x/sys/unix
format/graph: internal/num internal/strictjson
format/rewrite: format format/graph internal/num
internal/check:
internal/cli: internal/outfile internal/ui internal/version github.com/spf13/cobra github.com/spf13/pflag
internal/cpu: github.com/klauspost/cpuid/v2 golang.org/x/sys/unix
internal/emulate: internal/num golang.org/x/sys/unix
internal/jinja:
internal/num:
internal/outfile: golang.org/x/sys/unix
internal/par:
internal/report: internal/ui
internal/strictjson:
internal/ui: internal/cpu github.com/schollz/progressbar/v3 golang.org/x/term
internal/version:
kernels:
kernels/attn: internal/cpu internal/num kernels/elem kernels/internal/dot kernels/internal/mem
kernels/conv: internal/cpu internal/num kernels/internal/mem kernels/linear
kernels/elem: internal/cpu internal/num
kernels/internal/dot: internal/cpu internal/num
kernels/internal/ktest: internal/cpu
kernels/internal/mem: internal/cpu internal/num golang.org/x/sys/unix
kernels/linear: internal/cpu internal/num internal/par kernels/elem kernels/internal/dot kernels/internal/mem
kernels/probe: internal/cpu internal/par kernels/linear
kernels/quant: internal/cpu internal/num kernels/internal/mem kernels/linear
runtime: format format/graph format/rewrite internal/cpu internal/num internal/par kernels/attn kernels/linear kernels/probe runtime/exec
runtime/compare: format format/graph format/rewrite internal/par kernels/linear runtime runtime/diff runtime/encoder runtime/exec runtime/lm runtime/lm/tokenizer runtime/ref
runtime/diff:
runtime/encoder: format format/graph internal/par runtime runtime/lm/tokenizer
runtime/exec: format/graph internal/num internal/par kernels/attn kernels/conv kernels/elem kernels/linear
runtime/lm: format format/graph runtime runtime/diff runtime/exec runtime/lm/constrain runtime/lm/sample runtime/lm/tokenizer
runtime/lm/calls:
runtime/lm/chat: internal/jinja internal/strictjson runtime/lm/tokenizer
runtime/lm/constrain: runtime/lm/calls
runtime/lm/corpus: internal/strictjson runtime/lm/chat runtime/lm/tokenizer
runtime/lm/lmtest: convert convert/safetensors internal/cpu runtime runtime/lm runtime/lm/tokenizer
runtime/lm/sample:
runtime/lm/tokenizer: internal/strictjson github.com/dlclark/regexp2 github.com/rivo/uniseg golang.org/x/text/unicode/norm
runtime/optest: convert/safetensors format/graph
runtime/picture: format/graph
runtime/ref: format/graph internal/num
runtime/serve: internal/cpu internal/num internal/outfile internal/strictjson runtime runtime/encoder runtime/lm runtime/lm/calls runtime/lm/chat runtime/lm/constrain runtime/lm/sample runtime/lm/tokenizer runtime/serve/page runtime/serve/sched github.com/prometheus/client_golang/prometheus github.com/prometheus/client_golang/prometheus/collectors github.com/prometheus/client_golang/prometheus/promhttp
runtime/serve/page:
runtime/serve/sched: internal/par runtime runtime/lm runtime/lm/sample
`

// rules are what no line of the map may grant: the first pattern never imports
// the second. A pattern ending in /... stands for the package and all below it.
var rules = []struct{ from, to, why string }{
	{"...", "cmd/...", "nothing imports a command"},
	{"...", "C", "no cgo"},
	{"format/...", "kernels/...", "container and arithmetic never meet"},
	{"kernels/...", "format/...", "container and arithmetic never meet"},
	{"runtime/ref", "kernels/...", "the yardstick shares no arithmetic with what it measures"},
	{"runtime/...", "convert/...", "a runtime needs no conversion"},
	{"runtime/...", "calibrate/...", "a runtime needs no calibration"},
	{"calibrate/...", "convert/...", "drawn the other way round"},
	{"internal/...", "format/...", "internal packages lie below"},
	{"internal/...", "kernels/...", "internal packages lie below"},
	{"internal/...", "runtime/...", "internal packages lie below"},
	{"internal/...", "convert/...", "internal packages lie below"},
}

// forTests are packages of this module that only test files and bench may
// import, and modules that only test files may.
var forTests = []string{
	"bench/...", "runtime/lm/lmtest", "runtime/optest", "kernels/internal/ktest", "convert/safetensors/sttest",
	"github.com/google/go-cmp/...", "github.com/rogpeppe/go-internal/...", "pgregory.net/rapid", "gonum.org/v1/gonum/...", "github.com/santhosh-tekuri/jsonschema/...",
}

// covers tells whether a pattern covers name.
func covers(pattern, name string) bool {
	base, below := strings.CutSuffix(pattern, "...")
	return pattern == name || below && (name+"/" == base || strings.HasPrefix(name, base))
}

// external tells whether an import path is another module's.
func external(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return strings.Contains(first, ".")
}

// violation says which rule an import breaks, or "".
func violation(pkg, imported string) string {
	matches := func(name string) bool {
		return slices.ContainsFunc(forTests, func(p string) bool { return covers(p, name) })
	}
	for _, r := range rules {
		if covers(r.from, pkg) && covers(r.to, imported) && (!matches(pkg) || r.from == "...") {
			return r.why
		}
	}
	if matches(imported) && !matches(pkg) {
		return "only tests and bench may"
	}
	return ""
}

// readMap parses lines of "package: import import".
func readMap(t *testing.T, text string) map[string][]string {
	t.Helper()
	m := map[string][]string{}
	last := ""
	for line := range strings.Lines(text) {
		pkg, list, ok := strings.Cut(strings.TrimSpace(line), ":")
		if pkg == "" {
			continue
		}
		if !ok || pkg <= last {
			t.Fatalf("the map's line %q is no %q, or not in alphabetical order", pkg, "package: imports")
		}
		m[pkg], last = strings.Fields(list), pkg
	}
	return m
}

// readTree returns what the packages of the module import besides the standard
// library, by package, and what their test files do.
func readTree(t *testing.T) (code, tests map[string]map[string]bool) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	code, tests = map[string]map[string]bool{}, map[string]map[string]bool{}
	err = goFiles(root, func(file string) error {
		if strings.Contains("/"+file, "/_") { // a generator is a module of its own
			return nil
		}
		into := code
		if strings.HasSuffix(file, "_test.go") {
			into = tests
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(file)
		if into[pkg] == nil {
			into[pkg] = map[string]bool{}
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if inside, own := strings.CutPrefix(name, "qpt/"); own {
				into[pkg][inside] = true
			} else if external(name) || name == "C" {
				into[pkg][name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return code, tests
}

// line is a package's line of the map: this module's packages first.
func line(pkg string, imported map[string]bool) string {
	list := slices.SortedFunc(maps.Keys(imported), func(a, b string) int {
		if external(a) != external(b) {
			return map[bool]int{false: -1, true: 1}[external(a)]
		}
		return strings.Compare(a, b)
	})
	return strings.TrimSpace(pkg + ": " + strings.Join(list, " "))
}

func TestImports(t *testing.T) {
	want := readMap(t, imports)
	code, tests := readTree(t)
	for _, pkg := range slices.Sorted(maps.Keys(code)) {
		have := strings.TrimSpace(pkg + ": " + strings.Join(want[pkg], " "))
		if _, ok := want[pkg]; !ok {
			have = "nothing"
		}
		if l := line(pkg, code[pkg]); l != have {
			t.Errorf("the map says\n\t%s\nand the code\n\t%s", have, l)
		}
		for imported := range code[pkg] {
			if v := violation(pkg, imported); v != "" {
				t.Errorf("%s imports %s: %s", pkg, imported, v)
			}
		}
	}
	for pkg := range want {
		if code[pkg] == nil {
			t.Errorf("the map has package %s, which is not there", pkg)
		}
	}
	// Test files may import any package of the module, for the compiler forbids
	// cycles and suites that compare neighbours are wanted; of other modules
	// what the code imports somewhere, and forTests.
	for pkg, list := range tests {
		for imported := range list {
			known := !external(imported) || slices.ContainsFunc(forTests, func(p string) bool { return covers(p, imported) })
			for _, l := range code {
				known = known || l[imported]
			}
			if !known {
				t.Errorf("a test of %s imports %s: only %q are there for tests alone", pkg, imported, forTests)
			}
			if covers("cmd/...", imported) || imported == "C" {
				t.Errorf("a test of %s imports %s", pkg, imported)
			}
		}
	}
}

// The rules themselves.
func TestViolations(t *testing.T) {
	for _, c := range []struct{ pkg, imported, want string }{
		{"format", "kernels", "never meet"},
		{"kernels/attn", "format/graph", "never meet"},
		{"runtime/ref", "kernels/elem", "yardstick"},
		{"runtime/lm", "convert/hf", "no conversion"},
		{"convert", "cmd/qconv", "nothing imports a command"},
		{"kernels", "C", "no cgo"},
		{"convert", "bench/synth", "only tests and bench"},
		{"runtime", "runtime/lm/lmtest", "only tests and bench"},
		{"format", "github.com/google/go-cmp/cmp", "only tests and bench"},
		{"bench/gguf", "bench/synth", ""},
		{"formats", "kernels", ""},
		{"cmd/qrun", "convert/hf", ""},
		{"runtime", "runtime/exec", ""},
		{"internal/ui", "github.com/schollz/progressbar/v3", ""},
	} {
		got := violation(c.pkg, c.imported)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s imports %s: %q, want %q", c.pkg, c.imported, got, c.want)
		}
	}
}

func TestImportLine(t *testing.T) {
	got := line("a/b", map[string]bool{"github.com/x/y": true, "z": true, "golang.org/x/sys": true, "format": true})
	if want := "a/b: format z github.com/x/y golang.org/x/sys"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
