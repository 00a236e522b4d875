package kernels

import (
	"os/exec"
	"testing"
)

// TestGenerated runs the generator's own tests: its encoder against known
// bytes, and its output against the committed assembly.
func TestGenerated(t *testing.T) {
	cmd := exec.Command("go", "test", ".")
	cmd.Dir = "_gen"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
