"""Programs of one to three ops for the fuzz targets of convert/export, as small as torch.export.save makes them.

    python seeds.py OUT

Writes NAME.pt2. Needs torch.
"""
import sys
import torch, torch.nn as nn, torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, fn, **mods):
        super().__init__()
        self.fn = fn
        for k, v in mods.items():
            setattr(self, k, v)

    def forward(self, x):
        return self.fn(self, x)


nets = {
    "conv": Net(lambda s, x: F.relu_(s.c(x)), c=nn.Conv2d(2, 3, 1)),
    "views": Net(lambda s, x: torch.cat([x.flatten(1)[:, 1:3], x.mean((2, 3))], 1)),
    "index": Net(lambda s, x: F.pad(x.transpose(1, 2).reshape(-1, 4, 2), (1, 0)).max(1)),
}
for name, net in nets.items():
    program = torch.export.export(net, (torch.randn(2, 2, 2, 2),), dynamic_shapes=({0: torch.export.Dim("b", min=1, max=8)},))
    for n in program.graph.nodes:
        n.meta.clear() if n.op == "output" else [n.meta.pop(k, None) for k in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")]
    torch.export.save(program, f"{sys.argv[1]}/{name}.pt2")
