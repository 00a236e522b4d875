package linear

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// What the quantizers' packing makes passes; every rule is found by a change that breaks it alone.
func TestCheckData(t *testing.T) {
	const n, k = 21, 70 // padding of both kinds
	rng := rand.New(rand.NewPCG(1, 2))
	make8 := func(f Format) *Weight {
		w := NewWeight(f, n, k, 32)
		for i := range w.Scale[:min(n, len(w.Scale))] {
			w.Scale[i] = 0.5
		}
		for i := range w.GroupScale {
			w.GroupScale[i] = 0.25
		}
		for i := range w.Groups {
			w.Groups[i] = f.Join(7, 2)
		}
		if f == I4F {
			for i := range w.Groups {
				w.Groups[i] = 7
			}
		}
		codes := make([]int8, k)
		for r := range 32 {
			for i := range codes {
				switch {
				case r >= n && f == I8:
					codes[i] = 0
				case r >= n:
					codes[i] = 7
				case f == I8:
					codes[i] = int8(rng.IntN(255) - 127)
				default:
					codes[i] = int8(rng.IntN(15))
				}
			}
			if r < n {
				PutRow(w, r, codes)
			} else { // padding rows too are w8 = 0
				grown := *w
				grown.N = 32
				PutRow(&grown, r, codes)
			}
		}
		if f != I4F {
			FillSums(w)
		}
		return w
	}
	for _, f := range []Format{I8, I6, I4, I4F} {
		w := make8(f)
		if err := w.CheckData(2); err != nil {
			t.Fatalf("format %d: %v", f, err)
		}
		for _, c := range []struct {
			want string
			edit func(w *Weight)
			only []Format
		}{
			{"sum of row 3", func(w *Weight) { w.Sum[3]++ }, []Format{I8, I6, I4}},
			{"sum of row 31", func(w *Weight) { w.Sum[31]++ }, []Format{I8, I6, I4}},
			{"scale 5 is NaN", func(w *Weight) { w.Scale[5] = float32(math.NaN()) }, []Format{I8, I6, I4}},
			{"scale 5 is -1", func(w *Weight) { w.Scale[5] = -1 }, []Format{I8, I6, I4}},
			{"group scale 9 is +Inf", func(w *Weight) { w.GroupScale[9] = float32(math.Inf(1)) }, []Format{I4F}},
			{"zero point of row 2, group 0 is 16", func(w *Weight) { w.Groups[2] = 16 }, []Format{I4F}},
			{"padding at row 2, column 71", func(w *Weight) { w.Data[71/4*64+4*2+71%4] = 1 }, []Format{I8}},
			{"padding at row 2, column 71", func(w *Weight) { low, _ := w.Format.place(71); w.Data[low+4*2] ^= 1 << (71 & 4) }, []Format{I6, I4, I4F}},
			{"padding at row 21, column 0", func(w *Weight) { w.Data[w.BlockBytes()+4*5] ^= 1 }, []Format{I8, I6, I4, I4F}},
			{"row 1, column 97, beyond the last group", func(w *Weight) { low, _ := w.Format.place(97); w.Data[low+4*1] ^= 1 << (97 & 4) }, []Format{I6, I4, I4F}},
			{"times 16, which is no int8", func(w *Weight) { w.Groups[0] = w.Format.Join(2, 16) }, []Format{I4}},
			{"times 4, which is no int8", func(w *Weight) { w.Groups[0] = w.Format.Join(60, 4) }, []Format{I6}},
		} {
			if !slices.Contains(c.only, f) {
				continue
			}
			bad := make8(f)
			c.edit(bad)
			if err := bad.CheckData(2); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("format %d: %v, want %s", f, err, c.want)
			}
		}
	}
	for _, f := range []Format{F32, BF16} {
		w := NewWeight(f, n, k, 0)
		rows := make([]float32, 16*k)
		for i := range rows {
			rows[i] = float32(rng.NormFloat64())
		}
		w.PutFloatRows(0, rows, 16)
		if err := w.CheckData(2); err != nil {
			t.Fatalf("format %d: %v", f, err)
		}
		size := map[Format]int{F32: 4, BF16: 2}[f]
		for _, c := range []struct {
			want string
			at   int
			v    byte
		}{{"weight", size - 1, 0x7f}, {"padding at row 31, column 127", len(w.Data) - 1, 0x3f}, {"padding at row 0, column 70", 0, 1}} {
			bad := *w
			bad.Data = append([]byte{}, w.Data...)
			if at := c.at; strings.Contains(c.want, "column 70") {
				at = map[Format]int{F32: 70 * 16 * 4, BF16: 70 * 16 * 2}[f]
				bad.Data[at] = c.v
			} else {
				bad.Data[at], bad.Data[at-1] = c.v, 0xff
			}
			if err := bad.CheckData(1); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("format %d: %v, want %s", f, err, c.want)
			}
		}
	}
}

// The worked example of spec/qpt.md, formats 3 and 4 of one row.
func TestSpecExample(t *testing.T) {
	i8 := NewWeight(I8, 1, 3, 0)
	PutRow(i8, 0, []int8{2, -4, 6})
	i4 := NewWeight(I4, 1, 3, 16)
	for i := range i4.Groups {
		i4.Groups[i] = I4.Join(0, 1)
	}
	i4.Groups[0] = I4.Join(8, 2)
	PutRow(i4, 0, []int8{9, 6, 11})
	for _, w := range []*Weight{i8, i4} {
		w.Scale[0] = 0.5
		FillSums(w)
		if err := w.CheckData(1); err != nil || w.Sum[0] != 4 {
			t.Errorf("format %d: sum %d, %v", w.Format, w.Sum[0], err)
		}
	}
	if string(i8.Data[:4]) != "\x02\xfc\x06\x00" || len(i8.Data) != 1024 {
		t.Errorf("% x", i8.Data[:4])
	}
	if string(i4.Data[:4]) != "\x89\x86\x8b\x88" || string(i4.Data[64:68]) != "\x88\x88\x88\x88" || i4.Groups[0] != 0x18 || len(i4.Data) != 512 {
		t.Errorf("% x, % x, %x", i4.Data[:4], i4.Data[64:68], i4.Groups[0])
	}
}
