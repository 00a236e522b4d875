package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
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

// TestOrientation: Exif data that are cut off or wrong say nothing.
func TestOrientation(t *testing.T) {
	for _, name := range []string{"exif.jpg", "exif6.png"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if o := orientation(data); o != 6 {
			t.Errorf("%s: orientation %d", name, o)
		}
		for n := range data[:min(len(data), 400)] {
			if o := orientation(data[:n]); o != 1 && o != 6 {
				t.Errorf("%s, %d bytes: orientation %d", name, n, o)
			}
			turned := slices.Clone(data)
			turned[n] ^= 0xff
			if o := orientation(turned); o < 1 || o > 8 {
				t.Errorf("%s, byte %d: orientation %d", name, n, o)
			}
		}
	}
}

// TestDeep: of 16 bits the upper 8, of what hardly shows as well.
func TestDeep(t *testing.T) {
	im := image.NewNRGBA64(image.Rect(0, 0, 2, 1))
	im.SetNRGBA64(0, 0, color.NRGBA64{R: 0x12ff, G: 0x3400, B: 0xff80, A: 3})
	im.SetNRGBA64(1, 0, color.NRGBA64{R: 0x55aa, A: 0})
	var file bytes.Buffer
	if err := png.Encode(&file, im); err != nil {
		t.Fatal(err)
	}
	p, err := Decode(file.Bytes())
	if err != nil || !bytes.Equal(p.Pix, []byte{0x12, 0x34, 0xff, 0x55, 0, 0}) {
		t.Errorf("%x, %v", p, err)
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
