package hf

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocs: docs/models.md lists the families as they are here; UPDATE_DOCS=1 writes its table anew.
func TestDocs(t *testing.T) {
	const path, begin, end = "../../docs/models.md", "<!-- families -->\n", "<!-- end -->\n"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table between %q and %q", path, begin, end)
	}
	var s strings.Builder
	s.WriteString("| `model_type` | models | what is special |\n|---|---|---|\n")
	for _, f := range families {
		fmt.Fprintf(&s, "| `%s` | %s | %s |\n", f.Type, f.Models, f.Notes)
	}
	want := head + begin + s.String() + end + tail
	if want == string(b) {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatalf("%s is not up to date: UPDATE_DOCS=1 go test ./convert/hf -run TestDocs", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
