package graph_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "qpt/format/graph"
)

// TestSpec: spec/ops.md has a section for every op, with the constraints that its file cites, and names it at the top.
func TestSpec(t *testing.T) {
	data, err := os.ReadFile("../../spec/ops.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range strings.Split(string(data), "\n## ") {
		name, text, _ := strings.Cut(s, "\n")
		sections[name] = text
	}
	labels := func(pattern, text string) (list []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(list, m[1]) {
				list = append(list, m[1])
			}
		}
		slices.Sort(list)
		return list
	}
	files, err := filepath.Glob("op_*.go")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, path := range files {
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kind := labels(`Kind\(\) string +\{ return "(\w+)" \}`, string(code))
		if len(kind) != 1 || !slices.Contains(Kinds(), kind[0]) {
			t.Errorf("%s tells the kinds %q, want one that is registered", path, kind)
			continue
		}
		told[kind[0]] = true
		section := sections[kind[0]]
		if section == "" || !strings.Contains(string(data), "["+kind[0]+"](#"+kind[0]+")") {
			t.Errorf("spec/ops.md has no section %s, or does not name it at the top", kind[0])
		}
		got, want := labels(`(?:Fail|Unknown)\("(C\d+)"`, string(code)), labels(`- \((C\d+)\)`, section)
		if !slices.Equal(got, want) {
			t.Errorf("%s cites %v, spec/ops.md has %v", path, got, want)
		}
	}
	for _, kind := range Kinds() {
		if !told[kind] {
			t.Errorf("no file op_*.go tells %s", kind)
		}
	}
}
