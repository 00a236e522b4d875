package diff

import "math"

// Short is a reference prediction of which not every logit is known (spec/qpt.md, references).
type Short struct {
	IDs    []int32   // the likeliest tokens, and then a sample of the others: equal shares of their probability
	Logits []float32 // theirs
	Top    int       // how many of them are the likeliest
	Rest   float64   // log of the sum of exp(logit) of the others, -Inf for none
}

// short is what AddShort adds up beside Logits.
type short struct {
	rows, told        int     // and those of which the next token is known
	variance, atLeast float64 // of the sum of KL; that sum with the others as one token
	refNLL, gotNLL    float64
}

// AddShort is Add for a reference of which not all is known. The KL of the likeliest tokens is exact, that of the
// others an estimate from their sample (see KLError). next is the token that came, -1 where none did, nextLogit the
// reference's for it; the distances of tensors are those of the logits that are known.
func (l *Logits) AddShort(ref Short, next int32, nextLogit float32, got []float32) float64 {
	known := make([]float32, len(ref.IDs))
	for i, id := range ref.IDs {
		known[i] = got[id]
	}
	l.Tensor.Add(ref.Logits, known)
	top := LogSumExp(ref.Logits[:ref.Top])
	lr, lg := logAdd(top, ref.Rest), LogSumExp(got)
	apart := func(i int) (p, d float64) { // log-probability, and how much less ours is
		p = float64(ref.Logits[i]) - lr
		return p, p - (float64(known[i]) - lg)
	}
	var kl, seen float64
	for i := range ref.Top {
		p, d := apart(i)
		kl += math.Exp(p) * d
		seen += math.Exp(float64(known[i]) - lg)
	}
	atLeast := kl
	if n := float64(len(known) - ref.Top); n > 0 {
		rest := math.Exp(ref.Rest - lr)
		if ours := 1 - seen; ours > 0 {
			atLeast += rest * math.Log(rest/ours)
		}
		var sum, squares float64
		for i := ref.Top; i < len(known); i++ {
			_, d := apart(i)
			sum += d
			squares += d * d
		}
		mean := sum / n
		kl += rest * mean
		if n > 1 {
			l.short.variance += rest * rest * max(squares/n-mean*mean, 0) / (n - 1)
		}
	}
	l.short.rows++
	l.short.atLeast += max(atLeast, 0)
	if next >= 0 {
		l.short.told++
		l.short.refNLL += lr - float64(nextLogit)
		l.short.gotNLL += lg - float64(got[next])
	}
	return l.add(max(kl, atLeast, 0), int(ref.IDs[0]), got)
}

// KLError is two standard errors of KL from rows of which not every logit was known, 0 when all were.
func (l *Logits) KLError() float64 {
	if l.short.rows == 0 {
		return 0
	}
	return 2 * math.Sqrt(l.short.variance) / float64(len(l.kl))
}

// KLAtLeast is what KL is at least, whatever the logits that are not known: their tokens as one.
// Without rows of AddShort alone it is 0.
func (l *Logits) KLAtLeast() float64 {
	if l.short.rows == 0 || l.short.rows != len(l.kl) {
		return 0
	}
	return l.short.atLeast / float64(l.short.rows)
}

// Perplexities are exp of the mean NLL of the tokens that came, the reference's and ours; ok if all rows told which.
func (l *Logits) Perplexities() (ref, got float64, ok bool) {
	n := float64(l.short.told)
	return math.Exp(l.short.refNLL / n), math.Exp(l.short.gotNLL / n), n > 0 && l.short.told == len(l.kl)
}

// logAdd is log(exp(a) + exp(b)), b may be -Inf.
func logAdd(a, b float64) float64 {
	if b > a {
		a, b = b, a
	}
	return a + math.Log1p(math.Exp(b-a))
}
