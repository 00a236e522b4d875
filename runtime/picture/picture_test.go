package picture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/format/graph"
)

const dir = "../../testdata/pictures"

// TestPillow: pictures as Pillow reads, resizes and cuts them, within a step (JPEG: within what two decoders may differ by).
func TestPillow(t *testing.T) {
	golden, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	for _, name := range golden.Names() {
		file, what, _ := strings.Cut(strings.Replace(name, ".as-is", "|as-is", 1), "|")
		if what == "" {
			i := strings.LastIndex(name, ".")
			file, what = name[:i], name[i+1:]
		}
		p, err := Open(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		x, _ := golden.Tensor(name)
		im := &graph.Image{Height: x.Shape[0], Width: x.Shape[1]}
		switch {
		case what == "crop":
			im.ShortEdge, im.CropHeight, im.CropWidth = 32, 28, 28
		case what != "as-is":
			im.Filter, _, _ = strings.Cut(what, "-")
			im.ResizeHeight, im.ResizeWidth = x.Shape[0], x.Shape[1]
		}
		if p, err = p.Sized(im); err != nil {
			t.Fatal(name, err)
		}
		want, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		worst := 0
		for i, v := range p.Pix {
			worst = max(worst, int(v)-int(want[i]), int(want[i])-int(v))
		}
		most := 0
		if strings.HasSuffix(file, ".jpg") {
			most = 3 // a step of each plane, whose inverse transforms differ
		}
		if worst > most || len(p.Pix) != len(want) {
			t.Errorf("%s: off by %d, at most %d are allowed", name, worst, most)
		}
	}
}

// TestBad: what is no picture is told.
func TestBad(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(dir, "b.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{nil, []byte("GIF89a"), whole[:300], []byte("\x89PNG\r\n\x1a\n")} {
		if _, err := Decode(data); !errors.Is(err, ErrPicture) {
			t.Errorf("%.10q: %v", data, err)
		}
	}
	p, err := Decode(whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Input(&graph.Image{Height: 8, Width: 8, Scale: 1}, 3); !errors.Is(err, ErrPicture) || !strings.Contains(fmt.Sprint(err), "nothing says how to resize") {
		t.Error(err)
	}
	if _, err := p.Input(&graph.Image{Height: 45, Width: 60, Scale: 1}, 4); !errors.Is(err, ErrPicture) {
		t.Error(err)
	}
	if _, err := Files(t.TempDir()); !errors.Is(err, ErrPicture) {
		t.Error(err)
	}
}
