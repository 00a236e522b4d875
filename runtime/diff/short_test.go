package diff

import (
	"math"
	"math/rand/v2"
	"testing"
)

// AddShort is Add where every logit is known, never above what is proved, and near it for a fair sample.
func TestAddShort(t *testing.T) {
	const vocab, rows = 2000, 64
	rng := rand.New(rand.NewPCG(3, 4))
	var whole, all, short Logits
	nll := 0.0
	for range rows {
		want, got := make([]float32, vocab), make([]float32, vocab)
		for i := range want { // the first are the likeliest
			want[i] = float32(8*math.Exp(-float64(i)/40) + math.Exp(-float64(i)/vocab))
			got[i] = want[i] + float32(rng.NormFloat64()*0.2)
		}
		next := int32(rng.IntN(vocab))
		whole.Add(want, got)
		nll += NLL(want, next)
		ids := make([]int32, vocab)
		for i := range ids {
			ids[i] = int32(i)
		}
		all.AddShort(Short{ids, want, vocab, math.Inf(-1)}, next, want[next], got)
		const top, tail = 100, 32
		s := Short{IDs: ids[:top:top], Logits: want[:top:top], Top: top, Rest: LogSumExp(want[top:])}
		for range tail { // by their probability
			at, id := rng.Float64()*math.Exp(s.Rest), top
			for at -= math.Exp(float64(want[id])); at > 0; at -= math.Exp(float64(want[id])) {
				id++
			}
			s.IDs, s.Logits = append(s.IDs, int32(id)), append(s.Logits, want[id])
		}
		short.AddShort(s, next, want[next], got)
	}
	if math.Abs(all.KL()-whole.KL()) > 1e-9 || all.KLError() != 0 || math.Abs(all.KLAtLeast()-whole.KL()) > 1e-9 || all.SQNR() != whole.SQNR() || all.Top1() != whole.Top1() || all.Top5() != whole.Top5() {
		t.Errorf("with every logit: KL %v ± %v, at least %v, want %v", all.KL(), all.KLError(), all.KLAtLeast(), whole.KL())
	}
	if ref, got, ok := all.Perplexities(); !ok || math.Abs(math.Log(ref)-nll/rows) > 1e-9 || got == ref {
		t.Errorf("perplexities %v, %v; want %v for the reference", ref, got, math.Exp(nll/rows))
	}
	e := short.KLError()
	if d := math.Abs(short.KL() - whole.KL()); d > 2*e || !(e > 0 && e < 0.2*whole.KL()) {
		t.Errorf("KL %v ± %v, want %v", short.KL(), e, whole.KL())
	}
	if low := short.KLAtLeast(); !(low <= whole.KL() && low > 0.2*whole.KL()) {
		t.Errorf("KL %v, at least %v", whole.KL(), low)
	}
	if short.Top1() != whole.Top1() || short.Top5() != whole.Top5() {
		t.Errorf("top-1 %v, top-5 %v; want %v, %v", short.Top1(), short.Top5(), whole.Top1(), whole.Top5())
	}
	if whole.KLError() != 0 || whole.KLAtLeast() != 0 {
		t.Error("whole rows have no bounds")
	}
	if _, _, ok := whole.Perplexities(); ok {
		t.Error("whole rows do not tell which token came")
	}
}
