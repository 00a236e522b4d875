package diff

import (
	"math"
	"slices"
)

// KLs are the tokens' KL divergences in order.
func (l *Logits) KLs() []float64 { return l.kl }

// Estimate is a value with its standard error, NaN when there is one window only.
type Estimate struct{ Value, StdErr float64 }

// Exp is exp(e), its error by the first derivative.
func (e Estimate) Exp() Estimate {
	v := math.Exp(e.Value)
	return Estimate{v, v * e.StdErr}
}

// MeanOf is the mean over tokens of a quantity summed by windows, each of
// tokens[i] tokens, windows being the independent units.
func MeanOf(sums []float64, tokens []int) Estimate {
	var sum, n float64
	for i, s := range sums {
		sum += s
		n += float64(tokens[i])
	}
	mean := sum / n
	var ss float64
	for i, s := range sums {
		d := s - mean*float64(tokens[i])
		ss += d * d
	}
	w := float64(len(sums))
	if w < 2 {
		return Estimate{mean, math.NaN()}
	}
	return Estimate{mean, math.Sqrt(ss*w/(w-1)) / n}
}

// Choice is a token with its probability.
type Choice struct {
	ID int32
	P  float64
}

// Choices returns the n most likely tokens, likeliest first, the first of equals first.
func Choices(logits []float32, n int) []Choice {
	ids := make([]int32, 0, n+1)
	for i, v := range logits {
		at := len(ids)
		for at > 0 && v > logits[ids[at-1]] {
			at--
		}
		if at < n {
			ids = slices.Insert(ids, at, int32(i))
			ids = ids[:min(len(ids), n)]
		}
	}
	lse := LogSumExp(logits)
	list := make([]Choice, len(ids))
	for i, id := range ids {
		list[i] = Choice{id, math.Exp(float64(logits[id]) - lse)}
	}
	return list
}

// Token is one prediction: what follows position Pos of sequence Seq.
type Token struct {
	Seq, Pos int
	KL       float64
	Ref, Got []Choice
}

// Worst keeps the N tokens of greatest KL, the first of equals.
type Worst struct {
	N       int
	Choices int // kept of each prediction
	list    []Token
}

// Add looks at one more token.
func (w *Worst) Add(seq, pos int, kl float64, ref, got []float32) {
	if len(w.list) == w.N && (w.N == 0 || !(kl > w.list[w.N-1].KL)) {
		return
	}
	at := len(w.list)
	for at > 0 && kl > w.list[at-1].KL {
		at--
	}
	w.list = slices.Insert(w.list, at, Token{seq, pos, kl, Choices(ref, w.Choices), Choices(got, w.Choices)})
	w.list = w.list[:min(len(w.list), w.N)]
}

// Tokens are the worst first.
func (w *Worst) Tokens() []Token { return w.list }
