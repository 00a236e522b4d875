package hf

import "strings"

// outside says why families that people may try do not convert, by model_type.
var outside = func() map[string]string {
	m := map[string]string{}
	for why, kinds := range map[string]string{
		"it has an encoder and a decoder":                                                  "t5 mt5 umt5 byt5 bart mbart pegasus marian m2m_100 nllb nllb_moe blenderbot longt5 switch_transformers t5gemma t5gemma2 whisper prophetnet led",
		"its layers keep a recurrent state":                                                "mamba mamba2 falcon_mamba jamba bamba zamba zamba2 nemotron_h falcon_h1 rwkv recurrent_gemma xlstm qwen3_next qwen3_5 qwen3_5_moe kimi_linear minimax olmo_hybrid bailing_hybrid qwen4_exp",
		"its layers keep a convolution's state":                                            "lfm2 lfm2_moe lfm2_vl lfm3",
		"its attention is of another kind":                                                 "nystromformer mra yoso reformer big_bird xlnet funnel longcat_flash deepseek_v32 deepseek_v4 glm_moe_dsa axk2 hy_v4 diffllama doge",
		"its positions are sines of the place":                                             "xglm ctrl xlm flaubert",
		"its rotations go the other way round":                                             "nanochat",
		"experts of a layer lie side by side in one matrix":                                "dbrx",
		"it mixes tokens by Fourier transforms":                                            "fnet",
		"its attention has convolutions":                                                   "convbert",
		"its arithmetic is that of integers in the library too":                            "ibert",
		"its texts are read with their padding":                                            "siglip_text_model siglip2_text_model",
		"it takes pictures of any shape":                                                   "siglip2 siglip2_vision_model",
		"it takes places on a page besides tokens":                                         "layoutlmv2 layoutlmv3 lilt bros",
		"it takes a table's rows and columns besides tokens":                               "tapas",
		"an embedding of each layer is added to several streams of states":                 "gemma3n gemma3n_text",
		"some of its layers see chunks of a text":                                          "llama4 llama4_text",
		"its heads of attention are experts too":                                           "jetmoe",
		"it is code of the checkpoint, which does not run: transformers has no such model": "baichuan chatglm internlm internlm2 minicpm qwen xverse aquila orion",
	} {
		for _, kind := range strings.Fields(kinds) {
			m[kind] = why
		}
	}
	return m
}()
