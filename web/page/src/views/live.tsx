export function LiveView() { return <></>; }
