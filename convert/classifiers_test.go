package convert_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/runtime"
	"qpt/runtime/picture"
)

// TestClassifiers: folders of transformers' classifiers of images, and of networks without a head, give its results, of tensors and of a picture
// through the preprocessor, and with da8w8 nearly so.
func TestClassifiers(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/classifiers/*")
	if err != nil || len(dirs) < 9 {
		t.Fatalf("%d folders: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		golden := filepath.Join(dir, "golden.safetensors")
		for scheme, least := range map[string]float64{"f32": 95, "da8w8": 15} {
			out := filepath.Join(t.TempDir(), "m.qpt")
			p, err := convert.MakePlan(convert.Options{In: dir, Out: out, Scheme: scheme, Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Run(context.Background(), convert.Hooks{})
			p.Close()
			if err != nil {
				t.Fatal(err)
			}
			m, err := runtime.Load(out, runtime.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			inputs := map[string]runtime.Tensor{"": pixels(t, golden, "pixel_values")}
			image, err := picture.Open("../testdata/pictures/a.png")
			if err != nil {
				t.Fatal(err)
			}
			shape := inputs[""].Shape
			row, err := image.Input(m.Meta.Model.Image, shape[1])
			if err != nil {
				t.Fatal(err)
			}
			inputs["picture"] = runtime.Tensor{Shape: append([]int{1}, shape[1:]...), F: row}
			for name, x := range inputs {
				y, err := m.Run(t.Context(), map[string]runtime.Tensor{"pixel_values": x}, runtime.RunOptions{})
				if err != nil {
					t.Fatal(fmt.Errorf("%s: %w", dir, err))
				}
				outputs, want := m.Graph.Outputs, least
				if name == "picture" { // which torchvision resizes, not Pillow: single steps of u8 apart
					outputs, want = outputs[len(outputs)-1:], min(least, 45)
				}
				for _, out := range outputs {
					if got := sqnr(pixels(t, golden, cmp.Or(name, out)).F, y[out].F); got < want {
						t.Errorf("%s, %s: %s %s %.1f dB from transformers', want %.0f", dir, scheme, name, out, got, want)
					}
				}
			}
			inputs["picture"].F[5] = float32(math.NaN())
			if _, err := m.Run(t.Context(), map[string]runtime.Tensor{"pixel_values": inputs["picture"]}, runtime.RunOptions{}); err == nil || !strings.Contains(err.Error(), `input "pixel_values": value 5 of row 0 is NaN`) {
				t.Errorf("a picture with NaN: %v", err)
			}
			m.Close()
		}
	}
}
