package convert_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/safetensors"
	"qpt/runtime/picture"
)

// TestProcessors: inputs made of pictures as transformers' image processors make them, within two steps before normalization, four of JPEGs,
// whose decoders differ. testdata/processors has some; QPT_PICTURES names a folder with more, as testdata/gen/processors.py makes it.
func TestProcessors(t *testing.T) {
	root := "../testdata/processors"
	if dir := os.Getenv("QPT_PICTURES"); dir != "" {
		root = dir
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "golden.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", root, err)
	}
	off := map[string]float64{} // by kind of picture
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, "preprocessor_config.json"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := hf.Load(dir)
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			golden, err := safetensors.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer golden.Close()
			for _, name := range golden.Names() {
				x, _ := golden.Tensor(name)
				want := make([]float32, x.NumElems())
				if err := x.ReadRows(0, 1, want); err != nil {
					t.Fatal(err)
				}
				p, err := picture.Open(filepath.Join(root, "pictures", name))
				if err != nil {
					t.Fatal(name, err)
				}
				got, err := p.Input(m.Image, 3)
				if err != nil {
					t.Errorf("%s: %v, want %v: %s", name, err, x.Shape, text)
					continue
				}
				if len(got) != len(want) {
					t.Errorf("%s: %d numbers, want %v: %s", name, len(got), x.Shape, text)
					continue
				}
				most := 2.001 // torchvision's weights have fewer bits than Pillow's
				if strings.HasSuffix(name, ".jpg") {
					most = 4.001
				}
				worst, mean, n := 0.0, 0.0, len(want)/3
				for i, w := range want {
					step := m.Image.Scale
					if len(m.Image.Std) > 0 {
						step /= m.Image.Std[i/n%len(m.Image.Std)]
					}
					d := math.Abs(float64(got[i])-float64(w)) / step
					worst, mean = max(worst, d), mean+d/float64(len(want))
				}
				_, kind, _ := strings.Cut(name, ".")
				off[kind] = max(off[kind], worst)
				if !(worst <= most) {
					t.Errorf("%s: off by %.2f steps, %.3f in the mean: %s %+v", name, worst, mean, text, *m.Image)
				}
			}
		})
	}
	t.Logf("%v", off)
}
