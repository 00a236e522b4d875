// Package diff measures how far a result is from its FP32 reference.
package diff

import (
	"math"
	"slices"
)

// Tensor accumulates the distance between a reference x and a result y, in binary64.
type Tensor struct {
	xx, yy, xy, dd float64
	maxAbs         float64
	n              int64
	x, y           Range
}

// Range is what values lie between.
type Range struct{ Min, Max float64 }

// put widens r by the value v; first says that r holds none yet. NaN stays.
func (r *Range) put(v float64, first bool) {
	if first {
		r.Min, r.Max = v, v
	}
	r.Min, r.Max = min(r.Min, v), max(r.Max, v)
}

// Add compares further elements; x is the reference.
func (t *Tensor) Add(x, y []float32) {
	for i, a := range x {
		a, b := float64(a), float64(y[i])
		d := a - b
		t.xx += a * a
		t.yy += b * b
		t.xy += a * b
		t.dd += d * d
		t.maxAbs = math.Max(t.maxAbs, math.Abs(d)) // NaN stays
		t.x.put(a, t.n == 0)
		t.y.put(b, t.n == 0)
		t.n++
	}
}

// SQNR is 20*log10(|x|/|x-y|) in dB, +Inf when equal.
func (t *Tensor) SQNR() float64 {
	if t.dd == 0 {
		return math.Inf(1)
	}
	return 10 * math.Log10(t.xx/t.dd)
}

// Cosine is the cosine of the angle between x and y.
func (t *Tensor) Cosine() float64 {
	if t.xx == 0 && t.yy == 0 {
		return 1
	}
	return t.xy / math.Sqrt(t.xx*t.yy)
}

// MaxAbs is the greatest |x-y|.
func (t *Tensor) MaxAbs() float64 { return t.maxAbs }

// Ranges are those of x and y.
func (t *Tensor) Ranges() (x, y Range) { return t.x, t.y }

// Logits accumulates, token by token, the distance between two predictions.
type Logits struct {
	Tensor
	kl         []float64
	top1, top5 int
	short      short
}

// Add compares one row of logits over the vocabulary and returns its KL; ref is the reference.
func (l *Logits) Add(ref, got []float32) float64 {
	l.Tensor.Add(ref, got)
	lr, lg := LogSumExp(ref), LogSumExp(got)
	var kl float64
	for i, r := range ref {
		p := float64(r) - lr
		kl += math.Exp(p) * (p - (float64(got[i]) - lg))
	}
	return l.add(max(kl, 0), ArgMax(ref), got)
}

// add counts a row whose reference choice is best.
func (l *Logits) add(kl float64, best int, got []float32) float64 {
	l.kl = append(l.kl, kl)
	if math.IsNaN(kl) {
		return kl // nothing agrees
	}
	if best == ArgMax(got) {
		l.top1++
	}
	higher := 0
	for i, g := range got {
		if g > got[best] || g == got[best] && i < best {
			higher++
		}
	}
	if higher < 5 {
		l.top5++
	}
	return kl
}

// Tokens is the number of rows compared.
func (l *Logits) Tokens() int { return len(l.kl) }

// KL is the mean of KL(ref || got) over the tokens, in nats.
func (l *Logits) KL() float64 {
	var s float64
	for _, k := range l.kl {
		s += k
	}
	return s / float64(len(l.kl))
}

// KLQuantile is the q quantile of the tokens' KL (q = 1: the worst token).
func (l *Logits) KLQuantile(q float64) float64 {
	if len(l.kl) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(l.kl))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// Top1 is the share of tokens whose most likely next token agrees.
func (l *Logits) Top1() float64 { return float64(l.top1) / float64(len(l.kl)) }

// Top5 is the share of tokens whose reference choice is among the five most likely.
func (l *Logits) Top5() float64 { return float64(l.top5) / float64(len(l.kl)) }

// ArgMax is the index of the greatest value, the first of equals.
func ArgMax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// LogSumExp is log(sum(exp(x))) in binary64.
func LogSumExp(x []float32) float64 {
	m := float64(x[ArgMax(x)])
	var s float64
	for _, v := range x {
		s += math.Exp(float64(v) - m)
	}
	return m + math.Log(s)
}

// NLL is the negative log-likelihood of token id under the logits, in nats.
func NLL(logits []float32, id int32) float64 {
	return LogSumExp(logits) - float64(logits[id])
}
