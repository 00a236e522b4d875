package checkpoint

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/export"
)

// TestExportErrors: what is wrong with an archive of torch.export is told as its reader tells it, not as a word on ZIP files.
func TestExportErrors(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if _, err := z.Create("m/archive_format"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.pt2")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, export.ErrArchive) || strings.Contains(err.Error(), "safetensors") {
		t.Errorf("an archive of nothing: %v", err)
	}
}
