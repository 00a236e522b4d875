package hf

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocs: docs/models.md and README.md list the families as they are here; UPDATE_DOCS=1 writes the lists anew.
func TestDocs(t *testing.T) {
	var table strings.Builder
	table.WriteString("| `model_type` | models | what is special |\n|---|---|---|\n")
	kinds := map[string][]string{}
	for _, f := range families {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.Type, f.Models, f.Notes)
		kind, _, _ := strings.Cut(f.Notes, ":")
		if kind, _, _ = strings.Cut(kind, ";"); kind != "encoder" && kind != "images" {
			kind = ""
		}
		kinds[kind] = append(kinds[kind], f.Models)
	}
	var list strings.Builder
	for _, k := range []struct{ kind, title string }{{"", "Language models"}, {"encoder", "Encoders of text"}, {"images", "Networks on images"}} {
		fmt.Fprintf(&list, "- %s, %d families: %s\n", k.title, len(kinds[k.kind]), strings.Join(kinds[k.kind], "; "))
	}
	for path, want := range map[string]string{"../../docs/models.md": table.String(), "../../README.md": list.String()} {
		generated(t, path, want)
	}
}

// generated holds what lies between the marks of a file against want.
func generated(t *testing.T, path, want string) {
	const begin, end = "<!-- families -->\n", "<!-- end -->\n"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no list between %q and %q", path, begin, end)
	}
	if want = head + begin + want + end + tail; want == string(b) {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("%s is not up to date: UPDATE_DOCS=1 go test ./convert/hf -run TestDocs", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
