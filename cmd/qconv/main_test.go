package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"qpt/bench/cmdtest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"qconv": main}) }

// The command's behaviour is told in testdata/script; STORIES is the bundled model.
func TestScripts(t *testing.T) {
	stories, err := filepath.Abs("../../testdata/stories260K")
	if err != nil {
		t.Fatal(err)
	}
	cmdtest.Run(t, map[string]string{"STORIES": stories, "IMPORT": filepath.Join(stories, "../import"), "QUANTIZED": filepath.Join(stories, "../../convert/quantized/testdata/whole")})
}
