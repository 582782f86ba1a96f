"""The tensors of the reference's state dicts, model by model: name, shape and kind, in registration order.

Widths are parameters, so that the same names can stand over smaller tensors; the defaults are the recipes'.
Weights of linear layers are [out, in], of convolutions [out, in, kernel...], of transposed ones [in, out, kernel...].
"""
import collections

Tensor = collections.namedtuple("Tensor", "name shape kind")

WEIGHT = "weight"  # float32, trained
SPARSE_WEIGHT = "sparse weight"  # float32, trained, kept as a permuted view: memory is [K2][K1][K0][in][out]
BUFFER = "buffer"  # float32, not trained
COUNT = "count"  # int64, 0-dim, not trained
UPDATES = "updates"  # int32, 0-dim, not trained
KINDS_TRAINED = (WEIGHT, SPARSE_WEIGHT)


class Layout(list):
    """A list of Tensor. Each method appends what a module of that kind registers under a prefix."""

    def add(self, name, *shape, kind=WEIGHT):
        self.append(Tensor(name, shape, kind))

    def affine(self, prefix, weight_shape, channels):
        self.add(prefix + ".weight", *weight_shape)
        self.add(prefix + ".bias", channels)

    def linear(self, prefix, inputs, outputs):
        self.affine(prefix, (outputs, inputs), outputs)

    def conv(self, prefix, inputs, outputs, *kernel):
        self.affine(prefix, (outputs, inputs, *kernel), outputs)

    def transposed_conv(self, prefix, inputs, outputs, *kernel):
        self.affine(prefix, (inputs, outputs, *kernel), outputs)

    def norm(self, prefix, channels):
        self.affine(prefix, (channels,), channels)

    def batch_norm(self, prefix, channels):
        self.norm(prefix, channels)
        self.add(prefix + ".running_mean", channels, kind=BUFFER)
        self.add(prefix + ".running_var", channels, kind=BUFFER)
        self.add(prefix + ".num_batches_tracked", kind=COUNT)

    # Sparse blocks of the voxel models.

    def sparse_conv(self, prefix, inputs, outputs):
        self.add(prefix + ".weight", outputs, inputs, 3, 3, 3, kind=SPARSE_WEIGHT)

    def conv_block(self, prefix, inputs, outputs):
        self.norm(prefix + ".GroupNorm", inputs)
        self.sparse_conv(prefix + ".Conv", inputs, outputs)

    def sparse_res_block(self, prefix, inputs, outputs, middle=None):
        middle = middle or outputs
        self.conv_block(prefix + ".conv1", inputs, middle)
        self.conv_block(prefix + ".conv2", middle, outputs)
        if inputs != outputs:
            self.linear(prefix + ".skip_connection", inputs, outputs)

    def sparse_head(self, prefix, inputs, outputs):
        self.conv_block(prefix + ".SingleConv", inputs, inputs)
        self.linear(prefix + ".OutConv", inputs, outputs)

    # Two-dimensional residual block of the image branches.

    def image_res_block(self, prefix, inputs, outputs):
        self.batch_norm(prefix + ".in_layers.0", inputs)
        self.conv(prefix + ".in_layers.2", inputs, outputs, 3, 3)
        self.batch_norm(prefix + ".out_layers.0", outputs)
        self.conv(prefix + ".out_layers.3", outputs, outputs, 3, 3)
        if inputs != outputs:
            self.conv(prefix + ".skip_connection", inputs, outputs, 1, 1)


def voxel_vae(prefix="", f_maps=64, embedding=32, cut_ratio=32, classes=23):
    """The VAE; under the diffusion model with the prefix "vae."."""
    layout, unet = Layout(), prefix + "unet."
    layout.add(prefix + "encoder.semantic_embed_fn.weight", classes, embedding)
    layout.linear(prefix + "encoder.mix_fc", 33 + embedding, embedding)
    levels = [f_maps, 2 * f_maps, 4 * f_maps]
    inputs, neck = embedding, levels[-1]
    latent = neck // cut_ratio
    for level, outputs in enumerate(levels):
        layout.sparse_res_block(f"{unet}encoders.Enc{level}-Block0", inputs, outputs, max(inputs, outputs // 2))
        inputs = outputs
    for block in range(2):
        layout.sparse_res_block(f"{unet}pre_kl_bottleneck.pre_kl_bottleneck_{block}", neck, neck)
    layout.norm(unet + "pre_kl_bottleneck.pre_kl_bottleneck_gn.module", neck)
    layout.sparse_conv(unet + "pre_kl_bottleneck.pre_kl_bottleneck_2.module", neck, 2 * latent)
    layout.add(unet + "pre_kl_bottleneck.pre_kl_bottleneck_2.module.bias", 2 * latent)
    layout.sparse_res_block(unet + "post_kl_bottleneck.post_kl_bottleneck_0", latent, neck)
    layout.sparse_res_block(unet + "post_kl_bottleneck.post_kl_bottleneck_1", neck, neck)
    for level in (2, 3):
        inputs, outputs = levels[4 - level], levels[3 - level]
        layout.sparse_res_block(f"{unet}decoders.Dec-{level}.0", inputs, outputs)
        layout.sparse_res_block(f"{unet}decoders.Dec-{level}.1", outputs, outputs)
    for level in (1, 2, 3):
        layout.sparse_head(f"{unet}struct_convs.Struct-{level}", levels[3 - level], 2)
    layout.linear(unet + "pre_conv", embedding, embedding)
    layout.sparse_head(unet + "semantic_head", f_maps, classes)
    return layout


def diffusion_unet(prefix="", channels=192, inputs=16, outputs=8):
    layout, embedding = Layout(), 4 * channels

    def res_block(name, inputs, outputs):
        layout.norm(name + ".in_layers.0", inputs)
        layout.conv(name + ".in_layers.2", inputs, outputs, 3, 3, 3)
        layout.linear(name + ".emb_layers.1", embedding, 2 * outputs)
        layout.norm(name + ".out_layers.0", outputs)
        layout.conv(name + ".out_layers.3", outputs, outputs, 3, 3, 3)
        if inputs != outputs:
            layout.conv(name + ".skip_connection", inputs, outputs, 1, 1, 1)

    def attention(name, width):
        layout.norm(name + ".norm", width)
        layout.conv(name + ".qkv", width, 3 * width, 1)
        layout.conv(name + ".proj_out", width, width, 1)

    def transformer(name, width):
        layout.norm(name + ".norm", width)
        layout.conv(name + ".proj_in", width, width, 1, 1, 1)
        for block in range(12):
            inner = f"{name}.transformer_blocks.{block}"
            layout.linear(inner + ".ff.net.0.proj", width, 8 * width)
            layout.linear(inner + ".ff.net.2", 4 * width, width)
            for projection in "qkv":
                layout.add(f"{inner}.attn2.to_{projection}.weight", width, width)
            layout.linear(inner + ".attn2.to_out.0", width, width)
            layout.norm(inner + ".norm2", width)
            layout.norm(inner + ".norm3", width)
        layout.conv(name + ".proj_out", width, width, 1, 1, 1)

    layout.linear(prefix + "time_embed.0", channels, embedding)
    layout.linear(prefix + "time_embed.2", embedding, embedding)
    multipliers, attended = (1, 2, 4, 4), (2, 3)
    layout.conv(prefix + "input_blocks.0.0", inputs, channels, 3, 3, 3)
    skips, width, block = [channels], channels, 1
    for level, multiplier in enumerate(multipliers):
        for _ in range(2):
            res_block(f"{prefix}input_blocks.{block}.0", width, multiplier * channels)
            width = multiplier * channels
            if level in attended:
                attention(f"{prefix}input_blocks.{block}.1", width)
            skips.append(width)
            block += 1
        if level + 1 < len(multipliers):
            res_block(f"{prefix}input_blocks.{block}.0", width, width)
            skips.append(width)
            block += 1
    res_block(prefix + "middle_block.0", width, width)
    transformer(prefix + "middle_block.1", width)
    res_block(prefix + "middle_block.2", width, width)
    block = 0
    for level, multiplier in reversed(list(enumerate(multipliers))):
        for repeat in range(3):
            res_block(f"{prefix}output_blocks.{block}.0", width + skips.pop(), multiplier * channels)
            width, part = multiplier * channels, 1
            if level in attended:
                attention(f"{prefix}output_blocks.{block}.1", width)
                part = 2
            if level and repeat == 2:
                res_block(f"{prefix}output_blocks.{block}.{part}", width, width)
            block += 1
    layout.norm(prefix + "out.0", width)
    layout.conv(prefix + "out.2", width, outputs, 3, 3, 3)
    return layout


def voxel_diffusion(channels=192, **vae_widths):
    """The diffusion model: its own buffer first, the frozen VAE, the UNet and its moving average without dots."""
    layout = Layout()
    layout.add("scale_factor", kind=BUFFER)
    layout += voxel_vae("vae.", **vae_widths)
    unet = diffusion_unet("", channels)
    layout += [tensor._replace(name="unet." + tensor.name) for tensor in unet]
    layout.add("unet_ema.decay", kind=BUFFER)
    layout.add("unet_ema.num_updates", kind=UPDATES)
    layout += [Tensor("unet_ema." + tensor.name.replace(".", ""), tensor.shape, BUFFER) for tensor in unet]
    return layout


def reconstruction_3d(f_maps=64, image=(16, 32, 64)):
    """The voxel branch: convolutional encoder, panorama sky, sparse UNet."""
    layout, features = Layout(), image[-1]
    head = "img_encoder.encoders.conv.project_head"
    layout.conv(head + ".0.0", 3, image[0], 3, 3)
    layout.batch_norm(head + ".0.1", image[0])
    layout.image_res_block(head + ".1", image[0], image[1])
    layout.image_res_block(head + ".2", image[1], image[2])
    layout.conv(head + ".conv_1x1", features, features, 1, 1)

    layout.image_res_block("skybox.skybox_net.0", features, features // 2)
    layout.image_res_block("skybox.skybox_net.1", features // 2, features // 4)
    layout.conv("skybox.skybox_net.2", features // 4, 3, 3, 3)

    unet = "backbone.backbone_3d."
    levels = [f_maps, 2 * f_maps, 4 * f_maps]
    neck, inputs = levels[-1], f_maps
    layout.linear(unet + "lifter.mix_fc", features, f_maps)
    for level, outputs in enumerate(levels):
        layout.sparse_res_block(f"{unet}encoders.Enc{level}", inputs, outputs, max(inputs, outputs // 2))
        inputs = outputs
    for stage, blocks in (("pre", 1), ("post", 2)):
        for block in range(blocks):
            layout.sparse_res_block(f"{unet}{stage}_kl_bottleneck.{stage}_kl_bottleneck_{block}", neck, neck)
    for level in (2, 3):
        inputs, outputs = levels[4 - level], levels[3 - level]
        layout.sparse_res_block(f"{unet}decoders.Dec-{level}", inputs + outputs, outputs)
    for level in (1, 2, 3):
        layout.sparse_head(f"{unet}struct_convs.Struct-{level}", levels[3 - level], 2)
    layout.linear(unet + "pre_conv", f_maps, f_maps)
    layout.sparse_head(unet + "render_head_hybrid", f_maps + features, 4 * 14)
    layout.sparse_head(unet + "render_head_3D", f_maps, 4 * 14)
    return layout


def reconstruction_2d(hidden=1024, fusion=256, dim=32, sky=192):
    """The pixel branch: frozen Depth-Anything-V2-Large and its upsampler, modulated sky, XUnet 0.4.0."""
    layout = Layout()
    depth_anything(layout, "img_encoder.encoders.dav2.model.", hidden, fusion)
    layout.image_res_block("img_encoder.encoders.dav2.upsampler.0", fusion, fusion // 2)
    layout.image_res_block("img_encoder.encoders.dav2.upsampler.1", fusion // 2, dim)
    modulated_sky(layout, sky)
    xunet(layout, "backbone.backbone_2d.net.", dim)
    layout.linear("backbone.backbone_2d.linear_out", 24, 24)
    return layout


def depth_anything(layout, prefix, hidden, fusion):
    backbone = prefix + "backbone."
    layout.add(backbone + "embeddings.cls_token", 1, 1, hidden)
    layout.add(backbone + "embeddings.mask_token", 1, hidden)
    layout.add(backbone + "embeddings.position_embeddings", 1, 37 * 37 + 1, hidden)
    layout.conv(backbone + "embeddings.patch_embeddings.projection", 3, hidden, 14, 14)
    for index in range(24):
        layer = f"{backbone}encoder.layer.{index}"
        layout.norm(layer + ".norm1", hidden)
        for projection in ("query", "key", "value"):
            layout.linear(f"{layer}.attention.attention.{projection}", hidden, hidden)
        layout.linear(layer + ".attention.output.dense", hidden, hidden)
        layout.add(layer + ".layer_scale1.lambda1", hidden)
        layout.norm(layer + ".norm2", hidden)
        layout.linear(layer + ".mlp.fc1", hidden, 4 * hidden)
        layout.linear(layer + ".mlp.fc2", 4 * hidden, hidden)
        layout.add(layer + ".layer_scale2.lambda1", hidden)
    layout.norm(backbone + "layernorm", hidden)

    neck_widths = (fusion, 2 * fusion, hidden, hidden)
    for index, width in enumerate(neck_widths):
        layer = f"{prefix}neck.reassemble_stage.layers.{index}"
        layout.conv(layer + ".projection", hidden, width, 1, 1)
        if index != 2:
            layout.conv(layer + ".resize", width, width, *{0: (4, 4), 1: (2, 2), 3: (3, 3)}[index])
    for index, width in enumerate(neck_widths):
        layout.add(f"{prefix}neck.convs.{index}.weight", fusion, width, 3, 3)
    for index in range(4):
        layer = f"{prefix}neck.fusion_stage.layers.{index}"
        layout.conv(layer + ".projection", fusion, fusion, 1, 1)
        for residual in (1, 2):
            for convolution in (1, 2):
                layout.conv(f"{layer}.residual_layer{residual}.convolution{convolution}", fusion, fusion, 3, 3)
    layout.conv(prefix + "head.conv1", fusion, fusion // 2, 3, 3)
    layout.conv(prefix + "head.conv2", fusion // 2, 32, 3, 3)
    layout.conv(prefix + "head.conv3", 32, 1, 1, 1)


def modulated_sky(layout, width):
    layout.add("skybox.sky_query", 1, 1, width)
    layout.linear("skybox.modulator.pos_emb", 3, width)
    layout.linear("skybox.modulator.adaLN_modulation.1", width, 2 * width)
    layout.linear("skybox.modulator.condition_mapping", width, width)
    layout.linear("skybox.modulator.output", width, 3)
    layout.conv("skybox.patch_embedder", 3, width, 16, 16)
    layout.linear("skybox.pos_embedder", 3, width)
    for index in range(4):
        layer = f"skybox.transformer.layers.{index}"
        layout.add(layer + ".self_attn.in_proj_weight", 3 * width, width)
        layout.add(layer + ".self_attn.in_proj_bias", 3 * width)
        layout.linear(layer + ".self_attn.out_proj", width, width)
        layout.linear(layer + ".linear1", width, 2 * width)
        layout.linear(layer + ".linear2", 2 * width, width)
        layout.norm(layer + ".norm1", width)
        layout.norm(layer + ".norm2", width)


def xunet(layout, prefix, dim):
    def block(name, inputs, outputs):
        layout.conv(name + ".proj", inputs, outputs, 1, 3, 3)
        layout.add(name + ".norm.gamma", outputs, 1, 1, 1)

    def resnet(name, inputs, outputs):
        block(name + ".block1", inputs, outputs)
        block(name + ".block2", outputs, outputs)
        if inputs != outputs:
            layout.conv(name + ".res_conv", inputs, outputs, 1, 1, 1)

    layout.conv(prefix + "init_conv", 3 + 1 + dim, dim, 1, 7, 7)  # colours, voxel depth, features of the encoder
    widths = [dim, dim, 2 * dim, 4 * dim, 8 * dim]
    for stage in range(4):
        name = f"{prefix}downs.{stage}"
        resnet(name + ".0", widths[stage], widths[stage])
        resnet(name + ".1.0", widths[stage], widths[stage])
        layout.conv(name + ".3.1", 4 * widths[stage], widths[stage + 1], 1, 1, 1)
    for stage in range(3):
        name, width = f"{prefix}ups.{stage}", widths[3 - stage]
        resnet(name + ".0", 2 * width, width)
        resnet(name + ".1.0", width, width)
        layout.transposed_conv(name + ".3", width, widths[2 - stage], 1, 4, 4)
    middle = widths[-1]
    resnet(prefix + "mid", middle, middle)
    layout.add(prefix + "mid_attn.norm.gamma", 1, middle, 1, 1, 1)
    layout.add(prefix + "mid_attn.to_qkv.weight", 3 * 8 * 32, middle, 1, 1, 1)
    layout.add(prefix + "mid_attn.to_out.weight", middle, 8 * 32, 1, 1, 1)
    resnet(prefix + "mid_after", middle, middle)
    layout.transposed_conv(prefix + "mid_upsample", middle, middle // 2, 1, 4, 4)
    for index in range(4):
        resnet(f"{prefix}consolidator.fmap_convs.{index}", dim << index, dim)
    resnet(prefix + "final_conv.0", 6 * dim, dim)
    layout.conv(prefix + "final_conv.1", dim, 24, 1, 3, 3)
