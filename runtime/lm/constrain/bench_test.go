package constrain

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A vocabulary of 128k: the cost of a mask, mean and worst, over texts of fresh grammars.
func BenchmarkMask(b *testing.B) {
	v := testVocab(128000)
	for _, c := range []struct{ name, schema string }{
		{"object", `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","age","tags"]}`},
		{"any", `{"type":"object"}`},
		{"length", `{"type":"string","maxLength":4000,"minLength":3000}`},
		{"pattern", `{"type":"string","pattern":"^[a-z ]*$"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			var sum, worst time.Duration
			n := 0
			for i := range b.N {
				g, err := v.Compile(Spec{Schema: []byte(c.schema)})
				if err != nil {
					b.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(uint64(i), 1))
				mask := make([]uint64, v.Words())
				for at := g.Start(); n < 200*(i+1) && !at.Done(); n++ {
					start := time.Now()
					if err := at.Mask(mask); err != nil {
						b.Fatal(err)
					}
					d := time.Since(start)
					sum, worst = sum+d, max(worst, d)
					id := int32(rng.IntN(v.Size()))
					for mask[id>>6]>>(id&63)&1 == 0 {
						id = int32(rng.IntN(v.Size()))
					}
					if err := at.Accept(id); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(sum.Microseconds())/float64(n), "us/mask")
			b.ReportMetric(float64(worst.Microseconds()), "us-worst")
		})
	}
}
