// A page around a peer's package, with no more than it needs: a picture is chosen, or the camera is
// turned on, and what the first face shows is written down. What a package gives is
// {load(): Promise, read(source): Promise<[expression, probability][]>}, a list for each face.

export function page({ load, read }) {
  document.body.innerHTML =
    '<input type="file"><button>camera</button><video muted playsinline hidden></video><ol></ol>';
  const [field, button, video, list] = ["input", "button", "video", "ol"].map((name) =>
    document.querySelector(name),
  );
  const ready = load();

  field.addEventListener("change", async () => {
    const picture = await createImageBitmap(field.files[0]);
    const canvas = document.createElement("canvas");
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    field.value = "";
    await ready;
    written(await read(canvas));
  });

  button.addEventListener("click", async () => {
    const size = { width: 640, height: 480 };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: size });
    await video.play();
    await ready;
    window.answers = []; // [when it was there, how late it was], in milliseconds
    for (;;) {
      await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
      const asked = performance.now();
      const faces = await read(video);
      if (faces.length) answers.push([performance.now(), performance.now() - asked]);
      list.textContent = "";
      written(faces);
    }
  });

  function written(faces) {
    const item = document.createElement("li");
    item.textContent = JSON.stringify(faces);
    list.append(item);
  }
}
