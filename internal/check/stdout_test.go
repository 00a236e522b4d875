package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Results go through ui.Stdout, which makes a full disk a failure; what writes to os.Stdout by itself would not.
func TestStdout(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`\bos\.Stdout\b|\bfmt\.Print(f|ln)?\(`)
	files := 0
	err = goFiles(root, func(file string) error {
		if !strings.HasPrefix(file, "cmd/") && !strings.HasPrefix(file, "internal/cli/") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		files++
		text, err := os.ReadFile(filepath.Join(root, file))
		if s := direct.FindString(string(text)); s != "" {
			t.Errorf("%s: %s: write to ui.Stdout", file, s)
		}
		return err
	})
	if err != nil || files < 10 {
		t.Fatalf("looked at %d files: %v", files, err)
	}
}
