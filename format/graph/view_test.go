package graph_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	. "qpt/format/graph"
)

// TestViews: every way to see a tensor, by rows, with and without a source that reads parts.
func TestViews(t *testing.T) {
	counts := source{} // value i of each tensor is i
	for _, c := range []struct {
		view  View
		shape []int
		want  []float32
	}{
		{View{Shape: []int{5, 3}, From: 2}, []int{2, 3}, []float32{6, 7, 8, 9, 10, 11}},
		{View{Shape: []int{6, 2}, From: 1, Block: 1, Stride: 2}, []int{3, 2}, []float32{2, 3, 6, 7, 10, 11}},
		{View{Shape: []int{12, 1}, From: 2, Block: 2, Stride: 6}, []int{4, 1}, []float32{2, 3, 8, 9}},
		{View{Shape: []int{3, 4}, Transpose: true}, []int{4, 3}, []float32{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
		{View{Shape: []int{2, 5}, Transpose: true, From: 1, Block: 1, Stride: 3}, []int{2, 2}, []float32{1, 6, 4, 9}},
		{View{Shape: []int{2, 2, 3}, Index: 1}, []int{2, 3}, []float32{6, 7, 8, 9, 10, 11}},
		{View{Shape: []int{2, 2, 3}, Index: 1, From: 1}, []int{1, 3}, []float32{9, 10, 11}},
		{View{Shape: []int{2, 2, 4}, Index: 1, Transpose: true, From: 1, Block: 1, Stride: 2}, []int{2, 2}, []float32{9, 13, 11, 15}},
		{View{Shape: []int{7}, From: 3}, []int{2}, []float32{3, 4}},
		{View{Shape: []int{7}, From: 1, Block: 1, Stride: 3}, []int{2}, []float32{1, 4}},
		{View{Shape: []int{3, 4}, Index: 2, From: 1, Block: 1, Stride: 2}, []int{2}, []float32{9, 11}},
		{View{Shape: []int{2, 5}, Columns: true, From: 1, Block: 1, Stride: 3}, []int{2, 2}, []float32{1, 4, 6, 9}},
		{View{Shape: []int{2, 2, 3}, Index: 1, Columns: true, From: 1}, []int{2, 2}, []float32{7, 8, 10, 11}},
		{View{Shape: []int{6, 2}, Transpose: true, Columns: true, From: 3}, []int{2, 3}, []float32{6, 8, 10, 7, 9, 11}},
		{View{Shape: []int{2, 4, 3}, Index: 1, Transpose: true, Columns: true, From: 1, Block: 1, Stride: 2}, []int{3, 2}, []float32{15, 21, 16, 22, 17, 23}},
		{View{Shape: []int{3, 2, 2}, From: 1}, []int{2, 2, 2}, []float32{4, 5, 6, 7, 8, 9, 10, 11}},
	} {
		c.view.Of = "whole"
		b := NewBuilder()
		b.Output("y", b.Node("x", Constant{}, nil, b.View("part", c.view, c.shape...)))
		g, err := b.Graph()
		if err != nil {
			t.Errorf("%+v: %v", c.view, err)
			continue
		}
		if name, shape := g.Params[0].Stored(); name != "whole" || !slices.Equal(shape, c.view.Shape) {
			t.Errorf("%+v: stored as %s %v", c.view, name, shape)
		}
		if data, err := Marshal(g); err != nil {
			t.Error(err)
		} else if back, err := Unmarshal(data); err != nil || fmt.Sprint(*back.Params[0].View) != fmt.Sprint(c.view) {
			t.Errorf("%+v came back as %+v: %v", c.view, back, err)
		}
		var dump bytes.Buffer
		if err := g.Dump(&dump); err != nil || !strings.Contains(dump.String(), "] of whole}") {
			t.Errorf("%v\n%s", err, &dump)
		}
		counts["whole"] = c.view.Shape
		for what, src := range map[string]Source{"rows": counts, "parts": parts{counts}} {
			v := Views(g, src)
			rows := c.shape[0]
			if len(c.shape) == 1 {
				rows = 1
			}
			width := len(c.want) / rows
			for r0 := range rows { // every run of rows
				for r1 := r0 + 1; r1 <= rows; r1++ {
					got := make([]float32, (r1-r0)*width)
					if err := v.ReadRows("part", r0, r1, got); err != nil || !slices.Equal(got, c.want[r0*width:r1*width]) {
						t.Errorf("%s %+v: rows %d to %d are %v, %v; want %v", what, c.view, r0, r1, got, err, c.want[r0*width:r1*width])
					}
				}
			}
			if v.ReadRows("part", 0, rows+1, make([]float32, len(c.want)+width)) == nil && rows > 1 {
				t.Errorf("%+v: a row too many", c.view)
			}
		}
	}
	g := tiny(t)
	if _, ok := Views(g, counts).(source); !ok {
		t.Error("a graph without views changes the source")
	}
}

// TestViewErrors: views that are no part of their tensor.
func TestViewErrors(t *testing.T) {
	for _, c := range []struct {
		want  string
		view  View
		shape []int
	}{
		{`tensor name ""`, View{Shape: []int{2, 2}}, []int{2, 2}},
		{"extent 0 out of range", View{Of: "w", Shape: []int{0, 2}}, []int{2, 2}},
		{"or one more", View{Of: "w", Shape: []int{2, 2, 2, 2}}, []int{2, 2}},
		{"or one more", View{Of: "w", Shape: []int{4}}, []int{2, 2}},
		{"index 1", View{Of: "w", Shape: []int{2, 2}, Index: 1}, []int{2, 2}},
		{"index 2", View{Of: "w", Shape: []int{2, 2, 2}, Index: 2}, []int{2, 2}},
		{"index -1", View{Of: "w", Shape: []int{2, 2, 2}, Index: -1}, []int{2, 2}},
		{"only a matrix", View{Of: "w", Shape: []int{2}, Transpose: true}, []int{2}},
		{"stride 2", View{Of: "w", Shape: []int{2, 2}, Stride: 2}, []int{2, 2}},
		{"block 2, stride 1", View{Of: "w", Shape: []int{9, 2}, Block: 2, Stride: 1}, []int{2, 2}},
		{"block -1", View{Of: "w", Shape: []int{9, 2}, Block: -1}, []int{2, 2}},
		{"has columns", View{Of: "w", Shape: []int{2}, Columns: true}, []int{2}},
		{"columns 1 to 2", View{Of: "w", Shape: []int{2, 2}, From: 1, Columns: true}, []int{2, 2}},
		{"seen as [3 2]", View{Of: "w", Shape: []int{3, 2}, Columns: true}, []int{2, 2}},
		{"rows 1 to 2", View{Of: "w", Shape: []int{2, 2}, From: 1}, []int{2, 2}},
		{"rows -1 to 0", View{Of: "w", Shape: []int{2, 2}, From: -1}, []int{2, 2}},
		{"rows 0 to 3", View{Of: "w", Shape: []int{3, 2}, Block: 1, Stride: 3}, []int{2, 2}},
		{"seen as [2 3]", View{Of: "w", Shape: []int{3, 2}, Transpose: true}, []int{2, 2}},
		{"stride 9223372036854775807", View{Of: "w", Shape: []int{3, 2}, Block: 1, Stride: 1<<63 - 1}, []int{2, 2}},
	} {
		b := NewBuilder()
		b.Output("y", b.Node("x", Constant{}, nil, b.View("part", c.view, c.shape...)))
		if _, err := b.Graph(); !errors.Is(err, ErrGraph) || !strings.Contains(err.Error(), `param "part", view: `) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v of %v: got %v, want %s", c.view, c.shape, err, c.want)
		}
	}
}

// source has tensors whose values are their indices.
type source map[string][]int

func (s source) ReadRows(name string, r0, r1 int, dst []float32) error {
	shape := s[name]
	width := 1
	for _, d := range shape[min(1, len(shape)-1):] {
		width *= d
	}
	if len(dst) != (r1-r0)*width {
		return fmt.Errorf("%d values for rows %d to %d of %v", len(dst), r0, r1, shape)
	}
	return parts{s}.ReadPart(name, r0*width, dst)
}

type parts struct{ source }

func (s parts) ReadPart(_ string, from int, dst []float32) error {
	for i := range dst {
		dst[i] = float32(from + i)
	}
	return nil
}

// TestPerm: the weight of a convolution as checkpoints have it.
func TestPerm(t *testing.T) {
	stored := []int{2, 3, 2, 4} // [N, C, kh, kw]
	v := &View{Of: "w", Shape: stored, Perm: []int{0, 2, 3, 1}}
	g := &Graph{Params: []Param{{Name: "w", Shape: []int{2, 2, 4, 3}, View: v}}}
	got := make([]float32, 24)
	if err := Views(g, counting{24}).ReadRows("w", 1, 2, got); err != nil {
		t.Fatal(err)
	}
	for i, x := range got {
		c, kw, kh := i%3, i/3%4, i/12
		if want := float32(24 + (c*2+kh)*4 + kw); x != want {
			t.Errorf("value %d is %v, want %v", i, x, want)
		}
	}
}

// counting is a tensor of 0, 1, 2 .. with rows of so many values.
type counting struct{ width int }

func (c counting) ReadRows(_ string, r0, _ int, dst []float32) error {
	for i := range dst {
		dst[i] = float32(r0*c.width + i)
	}
	return nil
}
