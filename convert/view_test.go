package convert

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"

	"qpt/format"
	"qpt/format/graph"
)

// TestViews: params that are parts of a checkpoint's tensors end in the file as if they were tensors of their own.
func TestViews(t *testing.T) {
	tensors := func(viewed bool) (list []format.Tensor, data [][]byte) {
		t.Helper()
		p, err := MakePlan(Options{Scheme: "da8w4", In: "../testdata/stories260K", Out: filepath.Join(t.TempDir(), "m.qpt"), Overrides: []Override{{"v_proj", "bf16"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if viewed { // the whole, seen as a part
			for i := range p.graph.Params {
				x := &p.graph.Params[i]
				x.View = &graph.View{Of: x.Name, Shape: x.Shape}
			}
			p.src = graph.Views(p.graph, p.src)
			if err := p.decide(); err != nil {
				t.Fatal(err)
			}
			for _, it := range p.Items {
				if it.whole || it.Source != "F32" {
					t.Errorf("%+v", it)
				}
			}
		}
		if _, err := p.Run(context.Background(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		f, err := format.Open(p.Opt.Out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if list, err = f.Tensors(); err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			for _, part := range x.Parts {
				b, err := f.Part(part)
				if err != nil {
					t.Fatal(err)
				}
				data = append(data, append([]byte(nil), b...))
			}
		}
		return list, data
	}
	want, wantData := tensors(false)
	got, gotData := tensors(true)
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotData, wantData) {
		t.Error("the tensors differ")
	}
}
