package linear

import "qpt/kernels/internal/mem"

// For tests, and benches, which compare with package probe and so lie outside.

var KernelFor = choose

// Choose names the kernel that Linear runs for m rows, "" if there is none.
func Choose(f Format, a ActForm, m int) string {
	if k := choose(f, a, m); k != nil {
		return k.Name()
	}
	return ""
}

// Run is Linear by one kernel; rows of y begin at block b0.
func (k *Kernel) Run(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	k.linear(y, ldy, x, w, b0, b1, add, s)
}

// CodedWeight is codedWeight.
var CodedWeight = codedWeight

// Repeated is w with so many times its rows of whole blocks.
func Repeated(w *Weight, times int) *Weight {
	c := w.Coded
	all := func(b []byte) []byte { // on large pages, as the system keeps files
		b = b[:len(b)/(len(w.Data)/w.codedBytes())*w.Blocks()]
		list := mem.Bytes(times * len(b))
		for i := range times {
			copy(list[i*len(b):], b)
		}
		return list
	}
	numbers := func(n Numbers) Numbers {
		super := n.Super
		n.Data, n.Super = all(n.Data), nil
		for range times {
			n.Super = append(n.Super, super...)
		}
		return n
	}
	return &Weight{Format: w.Format, N: times * w.N, K: w.K, Group: w.Group, Data: all(w.Data), Coded: &Coded{Bits: c.Bits, Zero: c.Zero, Table: c.Table, Factor: c.Factor,
		Zeros: all(c.Zeros), Scale: numbers(c.Scale), Offset: numbers(c.Offset), Round: c.Round}}
}

// CodedBytes is what a pass over w reads.
func CodedBytes(w *Weight) int {
	c := w.Coded
	return len(w.Data) + len(c.Zeros) + len(c.Scale.Data) + 4*len(c.Scale.Super) + len(c.Offset.Data) + 4*len(c.Offset.Super)
}
