package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestChoose(t *testing.T) {
	list := []step{{name: "a"}, {name: "b"}, {name: "c"}}
	for _, c := range []struct{ only, skip, want string }{
		{"", "", "a b c"}, {"c,a", "", "a c"}, {"", "b", "a c"}, {"a,b", "b", "a"}, {"x", "", "error"}, {"", "a,x", "error"},
	} {
		chosen, err := choose(list, c.only, c.skip)
		var names []string
		for _, s := range chosen {
			names = append(names, s.name)
		}
		if err != nil {
			names = []string{"error"}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("-only %q -skip %q: %q, want %q", c.only, c.skip, got, c.want)
		}
	}
}

func TestRunAllStopsAtFailure(t *testing.T) {
	broken := errors.New("broken")
	var ran []string
	add := func(name string, err error) step {
		return step{name: name, run: func() error { ran = append(ran, name); return err }}
	}
	err := runAll([]step{add("a", nil), add("b", errSkipped), add("c", broken), add("d", nil)})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "step c failed") || strings.Join(ran, "") != "abc" {
		t.Errorf("ran %v: %v", ran, err)
	}
}

func TestGofmtAndFuzzTargets(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a/a_test.go", "package a\n\nfunc FuzzOne(f *testing.F) {}\n\nfunc FuzzHelper(x int) {}\n\nfunc TestFuzz(t *testing.T) {}\n")
	write("a/testdata/b.go", "not Go")
	if err := gofmt(); err != nil {
		t.Errorf("gofmt: %v", err)
	}
	list, err := fuzzSteps(".", time.Minute, "One")
	if err != nil || len(list) != 1 || strings.Join(list[0].args, " ") != "go test -run=^$ -fuzz=^FuzzOne$ -fuzztime=1m0s -fuzzminimizetime=20x ./a" {
		t.Errorf("fuzzSteps: %v, %v", list, err)
	}
	if _, err := fuzzSteps(".", time.Minute, "Helper"); err == nil {
		t.Error("FuzzHelper(int) taken for a fuzz target")
	}
	write("a/c.go", "package a\nvar  x int\n")
	if err := gofmt(); err == nil || !strings.Contains(err.Error(), "a/c.go") {
		t.Errorf("gofmt: %v, want a/c.go", err)
	}
}
