package hf

// iQuestCoder: LlamaForCausalLM with defaults of its own, IQuest Coder.
func iQuestCoder(c *config) *Model {
	c.only("use_sliding_window", "false")
	c.only("clip_qkv", "null")
	return llamaOf(c, defaults{kvHeads: 8, headDim: 128, positions: 131072, epsKey: "rms_norm_eps", eps: 1e-5})
}
