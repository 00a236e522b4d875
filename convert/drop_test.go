package convert_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"qpt/convert"
)

// TestLimitDrop: as many of the most sensitive layers stay float32 as the limit asks for, what is measured is what the options convert to, and a limit that int8 keeps changes nothing.
func TestLimitDrop(t *testing.T) {
	const dir = "../testdata/export/"
	o := convert.Options{In: dir + "branches.pt2", Scheme: "s8s8", Calib: dir + "branches.golden.safetensors", Out: filepath.Join(t.TempDir(), "x.qpt"), Threads: 1}
	o.Overrides = []convert.Override{{Match: "^u", Scheme: "f32"}}
	_, all, err := convert.LimitDrop(t.Context(), o, 0.1, convert.Hooks{})
	if err != nil || len(all.Float) != 0 || all.All != all.After || all.Layers != 6 || all.Rows != 8 {
		t.Fatalf("a limit of 10 %%: %+v, %v", all, err)
	}
	got, d, err := convert.LimitDrop(t.Context(), o, all.All/2, convert.Hooks{})
	if err != nil || len(d.Float) == 0 || len(d.Float) == d.Layers || d.After > all.All/2 || d.All != all.All {
		t.Fatalf("half of what is lost in int8: %+v, %v", d, err)
	}
	if !slices.IsSortedFunc(d.Float, func(a, b convert.LayerDrop) int { return int(1e12 * (b.Noise - a.Noise)) }) {
		t.Errorf("not the most sensitive first: %v", d.Float)
	}
	p, err := convert.MakePlan(got)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, it := range p.Items {
		float := slices.ContainsFunc(d.Float, func(l convert.LayerDrop) bool { return l.Name == it.Name }) || it.Name == "u.weight"
		if len(it.Shape) > 1 && (it.Scheme == "f32") != float {
			t.Errorf("%s is %s, of %v", it.Name, it.Scheme, d.Float)
		}
	}
	o.Scheme, o.Calib = "da8w8", ""
	if _, _, err := convert.LimitDrop(t.Context(), o, 0.1, convert.Hooks{}); !errors.Is(err, convert.ErrUsage) {
		t.Errorf("dynamic int8: %v", err)
	}
}
