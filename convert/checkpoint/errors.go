package checkpoint

import (
	"errors"
	"slices"

	"qpt/convert/gguf"
	"qpt/convert/hf"
	"qpt/convert/quantized"
	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/runtime/lm/tokenizer"
)

// IsBadInput says whether an error is about the contents of a checkpoint: broken, hostile, or asking for what is not read.
func IsBadInput(err error) bool {
	return slices.ContainsFunc([]error{
		ErrInput, gguf.ErrCorrupt, gguf.ErrUnsupported, stored.ErrCodes, safetensors.ErrCorrupt, safetensors.ErrDType, hf.ErrConfig, hf.ErrUnsupported, hf.ErrTensors,
		quantized.ErrInput, quantized.ErrUnsupported, tokenizer.ErrFormat, tokenizer.ErrUnsupported, tokenizer.ErrPattern,
	}, func(bad error) bool { return errors.Is(err, bad) })
}
