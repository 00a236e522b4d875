package graph

// The ops of a decoder-only language model. In and Params are listed in order;
// T is the tokens of this call, R the rows asked for. spec/ops.md says what
// each means; the shape rules with their labels are in rules.go.

// Embedding: in ids i32 [T]; param table [V, D]; out [T, D].
type Embedding struct{}

// Linear: in x [.., K]; params weight [N, K], bias [N] optional; out [.., N] = x W^T + bias.
type Linear struct{}

// RMSNorm: in x [.., D]; param weight [D]; out x / sqrt(mean(x^2) + Eps) * (weight + Offset).
type RMSNorm struct {
	Eps    float64 `json:"eps"`
	Offset float64 `json:"offset,omitempty"` // Gemma: 1
}

// RoPE rotates each head of x [T, H*HeadDim] by position: in x, pos i32 [T].
// Freqs are the Rotary/2 inverse frequencies, float32 numbers, with every
// scaling rule already applied, except Dynamic. Pairing: "half" pairs i with
// i+Rotary/2 (HuggingFace), "interleaved" pairs 2i with 2i+1.
type RoPE struct {
	HeadDim int       `json:"head_dim"`
	Rotary  int       `json:"rotary_dim"`
	Pairing string    `json:"pairing"`
	Freqs   []float64 `json:"freqs"`
	Scale   float64   `json:"scale"` // factor on cos and sin, 1 when absent in the config
	// Dynamic is set for NTK scaling by length: once a sequence is longer
	// than MaxPos the base is recomputed from its current length.
	Dynamic *DynamicRoPE `json:"dynamic,omitempty"`
}

// DynamicRoPE: base' = Theta * (Factor*len/MaxPos - (Factor-1)) ^ (d/(d-2)), d = rotary dim, for len > MaxPos.
type DynamicRoPE struct {
	Theta  float64 `json:"theta"`
	Factor float64 `json:"factor"`
	MaxPos int     `json:"max_pos"`
}

// Attention: in q [T, Heads*HeadDim], k, v [T, KVHeads*HeadDim], pos i32 [T];
// out [T, Heads*HeadDim]. With Cache set, k and v are appended to the
// state of that name and q attends to all of it under Mask; without, to this call's.
type Attention struct {
	Heads   int     `json:"heads"`
	KVHeads int     `json:"kv_heads"`
	HeadDim int     `json:"head_dim"`
	Scale   float64 `json:"scale"` // on q k^T
	Mask    Mask    `json:"mask"`
	Cache   string  `json:"cache,omitempty"`
}

// Mask describes which positions a query sees, as data.
type Mask struct {
	Kind   string `json:"kind"`             // "causal", "full"
	Window int    `json:"window,omitempty"` // causal: only the last Window positions, 0 = all
}

// Unary applies Func elementwise: "silu", "gelu" (erf), "gelu_tanh", "relu".
type Unary struct {
	Func string `json:"func"`
}

// Binary combines two values of equal shape: "add", "mul".
type Binary struct {
	Func string `json:"func"`
}

// Gather picks rows: in x [T, D], rows i32 [R]; out [R, D].
type Gather struct{}

// Kind names of the ops, as stored.
func (Embedding) Kind() string { return "embedding" }
func (Linear) Kind() string    { return "linear" }
func (RMSNorm) Kind() string   { return "rmsnorm" }
func (RoPE) Kind() string      { return "rope" }
func (Attention) Kind() string { return "attention" }
func (Unary) Kind() string     { return "unary" }
func (Binary) Kind() string    { return "binary" }
func (Gather) Kind() string    { return "gather" }

// kinds is the op registry: how the attributes of each kind are decoded.
var kinds = map[string]func(attrs []byte) (Op, error){
	Embedding{}.Kind(): decode[Embedding],
	Linear{}.Kind():    decode[Linear],
	RMSNorm{}.Kind():   decode[RMSNorm],
	RoPE{}.Kind():      decode[RoPE],
	Attention{}.Kind(): decode[Attention],
	Unary{}.Kind():     decode[Unary],
	Binary{}.Kind():    decode[Binary],
	Gather{}.Kind():    decode[Gather],
}
