package linear

import "qpt/internal/num"

// Room is how many rows the planes have room for; 0 of nil.
func (a *Acts) Room() int {
	if a == nil {
		return 0
	}
	return max(len(a.Hi)/a.width(), len(a.F32), len(a.BF16)) / a.Stride
}

// Sub is rows m0 to m1 in the same memory.
func (a *Acts) Sub(m0, m1 int) Acts {
	at := m0 * a.Stride
	return Acts{Form: a.Form, M: m1 - m0, K: a.K, Stride: a.Stride, For: a.For,
		F32: from(a.F32, at), BF16: from(a.BF16, at), Hi: from(a.Hi, at*a.width()), Lo: from(a.Lo, at),
		Scale: from(a.Scale, m0), Zero: from(a.Zero, m0), Sums: from(a.Sums, m0*a.groups()), Wild: from(a.Wild, m0*a.For.Wilds), tame: a.tame}
}

// from is x from element i on, nil for a nil x.
func from[T any](x []T, i int) []T {
	if x == nil {
		return nil
	}
	return x[i:]
}

// CopyRow makes row m of a that of row from of b, which has the same form and K.
func (a *Acts) CopyRow(m int, b *Acts, from int) {
	if a.Form != b.Form || a.K != b.K {
		panic("linear: Acts.CopyRow: inputs of another form")
	}
	if w := a.width(); a.Hi != nil {
		copy(a.Hi[m*a.Stride*w:], b.Hi[from*b.Stride*w:][:num.Pad(b.K, 4)*w])
	}
	if a.Sums != nil {
		copy(a.Sums[m*a.groups():], b.Sums[from*b.groups():][:b.groups()])
	}
	copy(a.Wild[m*a.For.Wilds:], b.Wild[from*b.For.Wilds:][:b.For.Wilds])
	copy(a.Lo[min(m*a.Stride, len(a.Lo)):], b.Lo[min(from*b.Stride, len(b.Lo)):][:min(b.K, len(b.Lo))])
	copy(a.F32[min(m*a.Stride, len(a.F32)):], b.F32[min(from*b.Stride, len(b.F32)):][:min(b.K, len(b.F32))])
	copy(a.BF16[min(m*a.Stride, len(a.BF16)):], b.BF16[min(from*b.Stride, len(b.BF16)):][:min(b.K, len(b.BF16))])
	if a.Scale != nil {
		a.Scale[m] = b.Scale[from]
	}
	if a.Zero != nil {
		a.Zero[m] = b.Zero[from]
	}
}
